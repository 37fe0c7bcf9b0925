"""Which checkpoints stay: the newest, the best, every n-th, and nothing else."""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codex_ml.config.schema import CheckpointConfig
from codex_ml.metrics.functions import HIGHER_IS_BETTER


@dataclass(frozen=True)
class Retention:
    """What is kept: the newest *keep_last*, the best *keep_best*, every *keep_every* steps (0: none)."""

    keep_last: int
    keep_best: int
    keep_every: int
    metric: str
    mode: Literal["min", "max"]

    @classmethod
    def of(cls, cfg: CheckpointConfig) -> Retention:
        """The policy of a config; ``mode=auto`` knows which end of each metric is better."""
        auto: Literal["min", "max"] = "max" if cfg.metric in HIGHER_IS_BETTER else "min"
        mode = auto if cfg.mode == "auto" else cfg.mode
        return cls(cfg.keep_last, cfg.keep_best, cfg.keep_every, cfg.metric, mode)


@dataclass(frozen=True)
class Kept:
    """What the policy knows of one checkpoint.

    *scheduled* is false for one that a signal asked for: it counts for nothing once a newer one is
    there, so that an interrupted run keeps what an uninterrupted one keeps.
    """

    step: int
    revision: int
    value: float | None = None
    scheduled: bool = True


def to_keep(found: Iterable[Kept], policy: Retention) -> tuple[set[Kept], Kept | None]:
    """The checkpoints to keep and the best one.

    Of several revisions of a step the highest counts. A value that is None or NaN is not ranked; of
    equal values the earlier step is the better one. The newest always stays.
    """
    latest: dict[int, Kept] = {}
    for item in sorted(found, key=lambda item: (item.step, item.revision)):
        latest[item.step] = item
    if not latest:
        return set(), None
    newest = latest[max(latest)]
    scheduled = [item for _, item in sorted(latest.items()) if item.scheduled]
    sign = 1.0 if policy.mode == "min" else -1.0
    ranked = sorted(
        (item for item in scheduled if item.value is not None and not math.isnan(item.value)),
        key=lambda item: (sign * (item.value or 0.0), item.step),
    )
    every = [item for item in scheduled if policy.keep_every and item.step % policy.keep_every == 0]
    keep = {newest, *scheduled[-policy.keep_last :], *ranked[: policy.keep_best], *every}
    return keep, (ranked[0] if ranked else None)


def remove(path: Path) -> None:
    """Delete a directory so that a half-deleted one never looks valid."""
    trash = path.with_name(f".trash-{path.name}-{uuid.uuid4().hex[:8]}")
    os.rename(path, trash)
    erase(trash)


def erase(path: Path) -> None:
    """Delete what stands at *path*; of a link the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def sweep(directory: Path) -> None:
    """Remove what a kill left behind: unpublished stages and half-deleted checkpoints."""
    for pattern in (".tmp-*", ".trash-*"):
        for path in directory.glob(pattern):
            erase(path)
