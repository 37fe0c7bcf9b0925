"""Which data.group_depth would give every split a group, found while the documents are read."""

from __future__ import annotations

from pathlib import PurePosixPath

from codex_ml.config.schema.data import DataConfig
from codex_ml.data.document import Document
from codex_ml.data.sources.common import group_of
from codex_ml.data.split import assign, shares

_LEAST_GROUPS = 3
_MOST_DEPTHS = 32


class GroupDepths:
    """What each depth from ``data.group_depth`` on would give, as far as the first that is enough.

    A document costs one look once some depth is enough, which in most corpora the configured one is.
    """

    def __init__(self, cfg: DataConfig) -> None:
        self._split, self._depth = cfg.split, cfg.group_depth
        self._wanted = {split for split, share in shares(cfg.split).items() if share > 0}
        self._groups: list[set[str]] = [set()]  # by depth; no more than are enough
        self._filled: list[set[str]] = [set()]  # by depth: the splits that get a document
        self._from_paths = True

    def add(self, document: Document) -> None:
        """Count one kept document."""
        self._from_paths &= document.group == group_of(document.path, depth=self._depth)
        if not self._from_paths:
            return
        parts = len(PurePosixPath(document.path).parts)
        for _ in range(len(self._groups), min(parts - self._depth + 1, _MOST_DEPTHS)):
            # No document so far has a part at this depth, so it groups them as the depth before does.
            self._groups.append(set(self._groups[-1]))
            self._filled.append(set(self._filled[-1]))
        for index, (groups, filled) in enumerate(zip(self._groups, self._filled, strict=True)):
            if self._enough(index):
                return
            group = group_of(document.path, depth=self._depth + index)
            filled.add(assign(group, cfg=self._split))
            if len(groups) < _LEAST_GROUPS:
                groups.add(group)

    def smallest(self) -> int | None:
        """The smallest depth with three groups or more and a document in every split that has a share.

        None when there is none, or the groups do not come from the paths.
        """
        enough = [index for index in range(len(self._groups)) if self._enough(index)]
        return self._depth + enough[0] if enough and self._from_paths else None

    def _enough(self, index: int) -> bool:
        return len(self._groups[index]) >= _LEAST_GROUPS and self._filled[index] == self._wanted
