"""Metric records as NDJSON and CSV lines that survive a kill in mid-line."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from codex_ml.core.ndjson import NdjsonAppender, keep_steps, repair
from codex_ml.core.publish import writing
from codex_ml.errors import DataError


@dataclass(frozen=True)
class MetricRecord:
    """One value of one metric. Evaluations also say on what, how many, and the 95 % interval."""

    run_id: str
    step: int
    split: str
    phase: str
    metric: str
    value: float
    ts: float
    dataset: str | None = None
    n: int | None = None
    ci_low: float | None = None
    ci_high: float | None = None

    def as_dict(self) -> dict[str, object]:
        """The record without the fields that it does not have."""
        return {name: value for name, value in asdict(self).items() if value is not None}


COLUMNS = tuple(field.name for field in fields(MetricRecord))


class NDJSONMetricsWriter:
    """Appends records to ``metrics.ndjson``; NaN and infinities are the strings "nan", "inf"."""

    def __init__(self, path: Path) -> None:
        with writing(path):
            self._appender = NdjsonAppender(path)
        self._path = path

    def write(self, record: MetricRecord) -> None:
        with writing(self._path):
            self._appender.write(record.as_dict())

    def close(self) -> None:
        self._appender.close()

    @staticmethod
    def keep_steps(path: Path, last_step: int) -> None:
        """Drop what lies beyond *last_step*, so that a resumed run has no step twice."""
        keep_steps(path, last_step)


class CSVMetricsWriter:
    """Appends the same rows to ``metrics.csv``, with a header line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            repair(path)
            fresh = not path.exists() or path.stat().st_size == 0
            if not fresh:
                _check_columns(path)
            self._stream = path.open("a", encoding="utf-8", newline="")
            if fresh:
                self._write_row(COLUMNS)

    def write(self, record: MetricRecord) -> None:
        row = asdict(record)
        with writing(self._path):
            self._write_row(["" if row[name] is None else row[name] for name in COLUMNS])

    def _write_row(self, values: object) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)  # type: ignore[arg-type]
        self._stream.write(line.getvalue())
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()

    @staticmethod
    def keep_steps(path: Path, last_step: int) -> None:
        """Drop the rows beyond *last_step*; raises DataError when the file has other columns."""
        if not path.exists():
            return
        repair(path)
        if path.stat().st_size == 0:
            return
        _check_columns(path)
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        kept = [row for row in rows[1:] if int(row[1]) <= last_step]
        if len(kept) < len(rows) - 1:
            temporary = path.with_name(f".tmp-{path.name}")
            with temporary.open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows([rows[0], *kept])
            temporary.replace(path)


def _check_columns(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream), [])
    if tuple(header) != COLUMNS:
        raise DataError(
            f"{path} is not a metrics file of this version",
            code="metrics.columns",
            got=",".join(header),
            wanted=",".join(COLUMNS),
            next_step="move the file away",
        )
