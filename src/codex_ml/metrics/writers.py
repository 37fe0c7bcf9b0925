"""Metric records as NDJSON and CSV lines that survive a kill in mid-line."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from codex_ml.core.ndjson import NdjsonAppender, cut_tail, parse_line, repair
from codex_ml.core.publish import writing
from codex_ml.errors import DataError, IntegrityError


@dataclass(frozen=True)
class MetricRecord:
    """One value of one metric. Evaluations also say on what, how many, and the 95 % interval.

    The first record of a run has *facts* instead: commit, digests, grade.
    """

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
    facts: dict[str, str] | None = None

    def as_dict(self) -> dict[str, object]:
        """The record without the fields that it does not have."""
        return {name: value for name in COLUMNS if (value := getattr(self, name)) is not None}


COLUMNS = tuple(field.name for field in fields(MetricRecord))
#: What a file of an earlier version had.
_EARLIER = COLUMNS[: COLUMNS.index("facts")]


class NDJSONMetricsWriter:
    """Appends records to ``metrics.ndjson``; NaN and infinities are the strings "nan", "inf"."""

    def __init__(self, path: Path) -> None:
        with writing(path):
            self._appender = NdjsonAppender(path)
        self._path = path

    @property
    def fresh(self) -> bool:
        """Whether nothing was written to the file yet."""
        return self._appender.empty

    def write(self, *records: MetricRecord) -> None:
        """Append records, all at once."""
        with writing(self._path):
            self._appender.write(*(record.as_dict() for record in records))

    def close(self) -> None:
        self._appender.close()

    def sync(self) -> None:
        """Flush to the disk, before a checkpoint that counts on these records."""
        with writing(self._path):
            self._appender.sync()

    @staticmethod
    def cut(path: Path, *, resume_step: int, again: str | None) -> None:
        """Drop what a resumed run writes again, so that no step appears twice.

        That is what lies beyond *resume_step*, and at it the records of the split and phase *again*,
        written "validation/train".
        """

        def beyond(line: bytes) -> bool:
            record = parse_line(line, f"a line at the end of {path}", fields=("step", "split", "phase"))
            step, kind = record["step"], f"{record['split']}/{record['phase']}"
            if not isinstance(step, int):
                raise IntegrityError(
                    f"a line at the end of {path} has no step",
                    code="metrics.line",
                    got=step,
                    wanted="a whole number",
                    next_step="restore the file, or remove that line",
                )
            return _written_again(step, kind, resume_step=resume_step, again=again)

        with writing(path):
            cut_tail(path, beyond=beyond)


def _written_again(step: int, kind: str, *, resume_step: int, again: str | None) -> bool:
    return step > resume_step or (step == resume_step and kind == again)


class CSVMetricsWriter:
    """Appends the same rows to ``metrics.csv``, with a header line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            repair(path)
            fresh = not path.exists() or path.stat().st_size == 0
            self._columns = COLUMNS if fresh else _columns_of(path)
            self._stream = path.open("a", encoding="utf-8", newline="")
            if fresh:
                self._write_rows([COLUMNS])
        self.fresh = fresh or _rows_begin(path) >= path.stat().st_size

    def write(self, *records: MetricRecord) -> None:
        """Append records, all at once."""
        with writing(self._path):
            self._write_rows([[_cell(getattr(row, name)) for name in self._columns] for row in records])

    def _write_rows(self, rows: Sequence[Sequence[object]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._stream.write(text.getvalue())
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()

    def sync(self) -> None:
        """Flush to the disk."""
        with writing(self._path):
            os.fsync(self._stream.fileno())

    @staticmethod
    def cut(path: Path, *, resume_step: int, again: str | None) -> None:
        """As for NDJSON; raises DataError when the file has other columns."""
        with writing(path):
            repair(path)  # a kill may have cut the header itself
        if not path.exists() or path.stat().st_size == 0:
            return
        _columns_of(path)

        def beyond(line: bytes) -> bool:
            row = next(csv.reader([line.decode("utf-8", errors="replace")]))
            if len(row) < 4 or not row[1].isdigit():
                return False  # the header
            return _written_again(int(row[1]), f"{row[2]}/{row[3]}", resume_step=resume_step, again=again)

        with writing(path):
            cut_tail(path, beyond=beyond)


def _cell(value: object) -> object:
    if value is None:
        return ""
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if isinstance(value, dict) else value


def _rows_begin(path: Path) -> int:
    """Where the header ends."""
    with path.open("rb") as stream:
        return len(stream.readline())


def _columns_of(path: Path) -> tuple[str, ...]:
    with path.open(encoding="utf-8", newline="") as stream:
        header = tuple(next(csv.reader(stream), []))
    if header not in (COLUMNS, _EARLIER):
        raise DataError(
            f"{path} is not a metrics file of this version",
            code="metrics.columns",
            got=",".join(header),
            wanted=",".join(COLUMNS),
            next_step="move the file away",
        )
    return header
