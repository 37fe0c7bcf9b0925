"""Count what a preparation keeps and leaves out."""

from __future__ import annotations

import hashlib
from typing import Any

from codex_ml.config.schema.data import SplitConfig
from codex_ml.data.digest_set import DigestSet
from codex_ml.data.document import Dropped
from codex_ml.data.split import SPLITS, shares
from codex_ml.errors import DataError


class Tally:
    """Documents, bytes, characters and groups per split; documents and bytes per reason."""

    def __init__(self) -> None:
        self.splits = {split: {"documents": 0, "bytes": 0, "characters": 0, "groups": 0} for split in SPLITS}
        self.dropped: dict[str, dict[str, int]] = {}
        self._groups = DigestSet()

    def keep(self, *, split: str, group: str, size: int, characters: int) -> None:
        row = self.splits[split]
        row["documents"] += 1
        row["bytes"] += size
        row["characters"] += characters
        if self._groups.add(hashlib.sha256(group.encode("utf-8")).digest()):
            row["groups"] += 1

    def drop(self, dropped: Dropped) -> None:
        row = self.dropped.setdefault(dropped.reason, {"documents": 0, "bytes": 0})
        row["documents"] += 1
        row["bytes"] += dropped.bytes

    @property
    def kept(self) -> int:
        return sum(row["documents"] for row in self.splits.values())

    def check(self, *, cfg: SplitConfig, depth: int | None = None) -> None:
        """Raise DataError when nothing was kept, or a split that has a share got nothing.

        *depth* is a ``data.group_depth`` that would give every split something.
        """
        if self.kept == 0:
            reasons = ", ".join(f"{row['documents']} {name}" for name, row in sorted(self.dropped.items()))
            raise DataError(
                "the corpus is empty after cleaning",
                code="data.empty",
                got=reasons or "no documents in the inputs",
                next_step="check data.path and the limits in data.min_bytes, data.max_bytes and so on",
            )
        groups = len(self._groups)
        smaller = (
            f"set data.group_depth={depth}, which gives every split a group"
            if depth is not None
            else "make smaller groups (for files: a larger data.group_depth; for tables: data.group_field)"
        )
        for split, share in shares(cfg).items():
            if share > 0 and self.splits[split]["documents"] == 0:
                raise DataError(
                    f"the split '{split}' got no document",
                    code="data.split-empty",
                    got=f"{self.kept} documents in {groups} group{'s' if groups > 1 else ''}",
                    wanted=f"data.split.{split}={share:g} of the groups",
                    next_step=f"{smaller}, or set this share to 0, or try another data.split.salt",
                )

    def record(self) -> dict[str, Any]:
        return {"splits": self.splits, "dropped": self.dropped}
