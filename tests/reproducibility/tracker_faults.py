"""Trackers that fail, hang, die or find the disk full, in the place of real ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codex_ml.metrics import MetricRecord
from codex_ml.tracking.mlflow_utils import MlflowTracker
from codex_ml.tracking.tensorboard_sink import TensorBoardTracker
from codex_ml.tracking.wandb_sink import WandbTracker

_REAL: dict[str, type[Any]] = {
    "mlflow": MlflowTracker,
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
}
SECONDS = 30.0


def _disturbed(real: type[Any], kind: str) -> type[Any]:
    class Disturbed(real):  # type: ignore[misc]
        """The real tracker up to its second batch."""

        batches = 0

        def write(self, records: Sequence[MetricRecord]) -> None:
            self.batches += 1
            if self.batches > 1 or kind == "slow":
                _strike(kind)
            super().write(records)

        def close(self, status: str, artifacts: Sequence[Path]) -> None:
            if self.batches < 2:
                _strike(kind)
            super().close(status, artifacts)

    return Disturbed


def _strike(kind: str) -> None:
    if kind == "slow":
        time.sleep(SECONDS)
    elif kind == "raising":
        raise RuntimeError("disturbed by a test")
    elif kind == "full":
        raise OSError(28, "No space left on device")
    elif kind == "killed":
        raise SystemExit(9)  # the end of its thread


def disturbed_tracker(*, name: str, kind: str) -> None:
    """The tracker *name* is slow, raising, full or killed in this process."""
    from codex_ml.tracking import mirror, opening

    mirror.GATHER = 0.01
    real = opening._factory
    made = _disturbed(_REAL[name], kind)
    opening._factory = lambda asked: made if asked == name else real(asked)
