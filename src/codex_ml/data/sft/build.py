"""Write samples into a store entry as they come: cut or drop what is too long, count everything."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from codex_ml.config.schema.data import DataConfig
from codex_ml.data.columns import DROPPED, RowWriter
from codex_ml.data.document import Dropped, settle
from codex_ml.data.sft.files import DROPPED_FILE, SAMPLE_COLUMNS, SAMPLES_FILE, SplitWriter
from codex_ml.data.sft.masker import Masked
from codex_ml.data.sft.reader import Left, Placed
from codex_ml.data.split import SPLITS, shares
from codex_ml.errors import DataError

#: *endless*: samples whose last answer has no token at which a model could stop.
_FIGURES = ("samples", "tokens", "trained_tokens", "bytes", "truncated", "endless")


class SampleBuilder:
    """Use as a context; `finish` once after the last sample."""

    def __init__(self, stage: Path, *, cfg: DataConfig, context: int, dtype: np.dtype[Any]) -> None:
        self._cfg, self._context = cfg, context
        self._stack = ExitStack()
        self._samples = self._stack.enter_context(RowWriter(stage / SAMPLES_FILE, SAMPLE_COLUMNS))
        self._left = self._stack.enter_context(RowWriter(stage / DROPPED_FILE, DROPPED))
        self._splits = {split: SplitWriter(stage, split, dtype=dtype) for split in SPLITS}
        for writer in self._splits.values():
            self._stack.callback(writer.close)
        self._figures = {split: dict.fromkeys(_FIGURES, 0) for split in SPLITS}
        self._dropped = {split: Counter[str]() for split in SPLITS}
        self._all_dropped: Counter[str] = Counter()
        self._groups: set[str] = set()  # two of them say that there are several

    def add(self, item: Placed, found: Masked | DataError) -> None:
        """Keep a sample, or leave it out as the config says. Raises DataError."""
        if isinstance(found, DataError):
            skip = self._cfg.on_error == "skip"
            dropped = settle(found, skip=skip, id=item.place, path=item.path, size=item.bytes)
            self.leave(Left(dropped, item.split))
            return
        ids, trained, truncated = found.ids, found.trained, len(found.ids) > self._context + 1
        if truncated:
            # The last token of a sample takes no column, so one more than the context fits.
            reason = self._too_long(item, tokens=len(ids), left=bool(trained[1 : self._context + 1].any()))
            if reason is not None:
                self.leave(Left(reason, item.split))
                return
            ids, trained = ids[: self._context + 1], trained[: self._context + 1]
        labels = int(trained[1:].sum())
        self._splits[item.split].add(ids, trained)
        self._samples.add(item.split, item.place, item.group, found.bytes, len(ids), labels, int(truncated))
        figures = self._figures[item.split]
        if len(self._groups) < 2:
            self._groups.add(item.group)
        values = (1, len(ids), labels, found.bytes, truncated, not found.ended)
        for name, value in zip(_FIGURES, values, strict=True):
            figures[name] += int(value)

    def leave(self, item: Left) -> None:
        """Note what is left out, and why."""
        dropped = item.dropped
        self._left.add(dropped.id, dropped.path, dropped.bytes, dropped.reason, dropped.detail)
        self._all_dropped[dropped.reason] += 1
        if item.split is not None:
            self._dropped[item.split][dropped.reason] += 1

    def finish(self) -> dict[str, Any]:
        """Plan the rows; the figures for the manifest. Raises DataError when a split got nothing."""
        self._check()
        splits = {}
        for split, writer in self._splits.items():
            plan = writer.finish(context=self._context, packing=self._cfg.packing)
            splits[split] = {
                **self._figures[split],
                **plan,
                "dropped": dict(sorted(self._dropped[split].items())),
            }
        return {"splits": splits, "dropped": dict(sorted(self._all_dropped.items()))}

    def __enter__(self) -> SampleBuilder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _too_long(self, item: Placed, *, tokens: int, left: bool) -> Dropped | None:
        """Why a sample that is too long is left out; None when its head is kept."""
        said = f"{tokens} tokens, model.context={self._context}"
        if self._cfg.overlong == "error":
            raise DataError(
                f"{item.place} is too long",
                code="sample.overlong",
                got=f"{tokens} tokens",
                wanted=f"at most {self._context + 1} (model.context={self._context})",
                next_step="make model.context larger, or set data.overlong=truncate or data.overlong=drop",
            )
        if self._cfg.overlong == "drop":
            return Dropped(item.place, item.path, item.bytes, "sample.overlong", said)
        if not left:
            said += "; nothing trained is left of its head"
            return Dropped(item.place, item.path, item.bytes, "sample.overlong-untrained", said)
        return None

    def _check(self) -> None:
        reasons = ", ".join(f"{count} {name}" for name, count in sorted(self._all_dropped.items()))
        kept = sum(figures["samples"] for figures in self._figures.values())
        if kept == 0:
            raise DataError(
                "no sample was kept",
                code="data.empty",
                got=reasons or "no samples in the inputs",
                next_step="check data.path, data.format and data.overlong",
            )
        for split, share in shares(self._cfg.split).items():
            if share > 0 and self._figures[split]["samples"] == 0:
                got = f"{kept} samples in all"
                if kept > 1 and len(self._groups) == 1:
                    # Those of one group go to one split, so neither more of them nor a salt helps.
                    got += ", all of one " + ("group" if self._cfg.group_field else "prompt")
                raise DataError(
                    f"the split '{split}' got no sample",
                    code="data.small",
                    got=got + (f"; left out: {reasons}" if reasons else ""),
                    wanted=f"data.split.{split}={share:g} of the prompts",
                    next_step="give samples of more prompts, set this share to 0, or try another "
                    "data.split.salt",
                )
