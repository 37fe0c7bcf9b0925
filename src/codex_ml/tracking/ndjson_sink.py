"""The sink ``ndjson``: metrics.ndjson in the run directory, the truth that others mirror."""

from __future__ import annotations

from pathlib import Path

from codex_ml.metrics import NDJSONMetricsWriter


class NdjsonTracker(NDJSONMetricsWriter):
    """Writes ``metrics.ndjson``; first drops the records that a resumed run writes again."""

    def __init__(self, run_directory: Path, *, resume_step: int, again: str | None = None) -> None:
        path = run_directory / "metrics.ndjson"
        self.cut(path, resume_step=resume_step, again=again)
        super().__init__(path)
