"""The sink ``csv``: metrics.csv in the run directory, the same rows as metrics.ndjson."""

from __future__ import annotations

from pathlib import Path

from codex_ml.metrics import CSVMetricsWriter


class CsvTracker(CSVMetricsWriter):
    """Writes ``metrics.csv``; first drops the rows that a resumed run writes again."""

    def __init__(self, run_directory: Path, *, resume_step: int, again: str | None = None) -> None:
        path = run_directory / "metrics.csv"
        self.cut(path, resume_step=resume_step, again=again)
        super().__init__(path)
