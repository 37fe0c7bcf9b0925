"""Save, resume and prune the checkpoints of one run."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.checkpointing.reader import (
    FORMAT,
    MODEL,
    OPTIMIZER,
    STATE,
    Checkpoint,
    list_checkpoints,
    newest_good,
    open_checkpoint,
    step_of,
)
from codex_ml.checkpointing.retention import remove, sweep, to_keep
from codex_ml.checkpointing.writer import write_tensors
from codex_ml.core.publish import MANIFEST, read_json, staged, write_file, write_json
from codex_ml.errors import IntegrityError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


class CheckpointManager:
    """The checkpoints below ``runs/<name>/checkpoints``.

    One process at a time: the caller holds the run's lock. Raises StorageError when the disk
    refuses, CheckpointLoadError when nothing can be trusted.
    """

    def __init__(self, directory: Path, *, keep_last: int, keep_best: int) -> None:
        self.directory = directory
        self.keep_last = keep_last
        self.keep_best = keep_best
        if directory.is_dir():
            sweep(directory)

    def save(
        self,
        step: int,
        *,
        model: Mapping[str, Tensor],
        optimizer: Mapping[str, Tensor],
        state: Mapping[str, Any],
        metric: float | None,
    ) -> Checkpoint:
        """Publish one checkpoint, verify it, then prune. A good one of the same step stays as it is."""
        target = self.directory / f"step-{step:08d}"
        if target.exists():
            return open_checkpoint(target)
        ranked = metric if metric is not None and math.isfinite(metric) else None
        meta: dict[str, Any] = {"format": FORMAT, "step": step, "metric": ranked}
        with staged(target, meta=meta) as stage:
            write_tensors(stage / MODEL, model)
            write_tensors(stage / OPTIMIZER, optimizer)
            write_json(stage / STATE, dict(state))
            meta["weights_sha256"] = weights_digest(stage / MODEL)
        checkpoint = open_checkpoint(target)
        write_file(self.directory / "latest", target.name + "\n")
        self.apply_retention()
        return checkpoint

    def load_latest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies, or None for a run without any."""
        return newest_good(self.directory, set_aside=True)

    def resume_from(self, path: Path) -> Checkpoint:
        """A named checkpoint, verified. Later ones of the run are set aside: the run is here now."""
        checkpoint = open_checkpoint(path)
        for later in list_checkpoints(self.directory):
            if (step_of(later) or 0) > checkpoint.step:
                log.warning("%s lies beyond step %d and is set aside", later.name, checkpoint.step)
                later.rename(later.with_name(f".later-{later.name}-{uuid.uuid4().hex[:8]}"))
        return checkpoint

    def apply_retention(self) -> list[int]:
        """Remove what the policy does not keep; returns the removed steps, oldest first."""
        paths = {
            step: path for path in list_checkpoints(self.directory) if (step := step_of(path)) is not None
        }
        metrics = {step: _metric(path) for step, path in paths.items()}
        keep, best = to_keep(metrics, keep_last=self.keep_last, keep_best=self.keep_best)
        if best is not None and self.keep_best:
            write_file(self.directory / "best", paths[best].name + "\n")
        gone = sorted(set(paths) - keep)
        for step in gone:
            remove(paths[step])
        return gone


def _metric(path: Path) -> float | None:
    """The metric in a manifest; an unreadable manifest ranks nowhere and is left to the reader."""
    try:
        value = read_json(path / MANIFEST).get("metric")
    except (IntegrityError, FileNotFoundError):
        return None
    return None if value is None else float(value)
