"""The run's own files of metrics: metrics.ndjson, the truth that others mirror, and metrics.csv beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codex_ml.interfaces.tracker import Status
from codex_ml.metrics import CSVMetricsWriter, MetricRecord, NDJSONMetricsWriter
from codex_ml.tracking.context import TrackerContext


class FileTracker:
    """Writes one file; first drops the records that a resumed run writes again.

    A new file begins with the facts of the run.
    """

    kind: type[NDJSONMetricsWriter] | type[CSVMetricsWriter]
    file: str

    def __init__(self, context: TrackerContext) -> None:
        path = context.run_directory / self.file
        self.kind.cut(path, resume_step=context.resume_step, again=context.again)
        self._writer = self.kind(path)
        start = context.start_record()
        if self._writer.fresh and start is not None:
            self._writer.write(start)

    def write(self, records: Sequence[MetricRecord]) -> None:
        self._writer.write(*records)

    def sync(self) -> None:
        self._writer.sync()

    def close(self, status: Status, artifacts: Sequence[Path]) -> None:  # noqa: ARG002 - of the protocol
        self._writer.close()


class NdjsonTracker(FileTracker):
    """The sink ``ndjson``."""

    kind = NDJSONMetricsWriter
    file = "metrics.ndjson"


class CsvTracker(FileTracker):
    """The sink ``csv``, the same rows."""

    kind = CSVMetricsWriter
    file = "metrics.csv"
