"""A tracker: one line of text for each value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codex_ml.interfaces.tracker import Status
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.context import TrackerContext

CODEX_ML_CONTRACT = {"trackers": 1}


class LinesTracker:
    """Appends ``step metric value`` to ``lines.txt`` in the run's directory."""

    def __init__(self, context: TrackerContext) -> None:
        self._file = (context.run_directory / "lines.txt").open("a", encoding="utf-8")

    def write(self, records: Sequence[MetricRecord]) -> None:
        for record in records:
            self._file.write(f"{record.step} {record.metric} {record.value!r}\n")

    def sync(self) -> None:
        self._file.flush()

    def close(self, status: Status, artifacts: Sequence[Path]) -> None:
        self._file.write(f"{status}, {len(artifacts)} files\n")
        self._file.close()
