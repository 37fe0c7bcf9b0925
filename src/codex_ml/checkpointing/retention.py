"""Which checkpoints stay: the newest, the best, and nothing else."""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path


def to_keep(
    metrics: Mapping[int, float | None], *, keep_last: int, keep_best: int
) -> tuple[set[int], int | None]:
    """The steps to keep and the best step, from each checkpoint's metric (None or NaN: not ranked).

    Lower is better; of equal metrics the earlier step is the better one.
    """
    newest = sorted(metrics, reverse=True)[:keep_last]
    ranked = sorted(
        (value, step) for step, value in metrics.items() if value is not None and not math.isnan(value)
    )
    best = [step for _, step in ranked[:keep_best]]
    return {*newest, *best}, (ranked[0][1] if ranked else None)


def remove(path: Path) -> None:
    """Delete a directory so that a half-deleted one never looks valid."""
    trash = path.with_name(f".trash-{path.name}-{uuid.uuid4().hex[:8]}")
    os.rename(path, trash)
    shutil.rmtree(trash)


def sweep(directory: Path) -> None:
    """Remove what a kill left behind: unpublished stages and half-deleted checkpoints."""
    for pattern in (".tmp-*", ".trash-*"):
        for path in directory.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
