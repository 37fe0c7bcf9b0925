"""The sink ``csv``: metrics.csv in the run directory, the same rows as metrics.ndjson."""

from __future__ import annotations

from pathlib import Path

from codex_ml.metrics import CSVMetricsWriter


class CsvTracker(CSVMetricsWriter):
    """Writes ``metrics.csv``; drops rows beyond *resume_step* first."""

    def __init__(self, run_directory: Path, *, resume_step: int) -> None:
        path = run_directory / "metrics.csv"
        self.keep_steps(path, resume_step)
        super().__init__(path)
