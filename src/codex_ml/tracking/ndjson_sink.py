"""The sink ``ndjson``: metrics.ndjson in the run directory, the truth that others mirror."""

from __future__ import annotations

from pathlib import Path

from codex_ml.metrics import NDJSONMetricsWriter


class NdjsonTracker(NDJSONMetricsWriter):
    """Writes ``metrics.ndjson``; drops records beyond *resume_step* first."""

    def __init__(self, run_directory: Path, *, resume_step: int) -> None:
        path = run_directory / "metrics.ndjson"
        self.keep_steps(path, resume_step)
        super().__init__(path)
