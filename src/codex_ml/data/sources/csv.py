"""Source ``csv``: comma- or tab-separated rows with a header, plain, .gz or .zst."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from codex_ml.data.document import Dropped, settle
from codex_ml.data.sources.streams import open_binary
from codex_ml.data.sources.tables import Record, Row, TableSource
from codex_ml.errors import DataError

_HINT = "mend the row, or set data.on_error=skip to leave such rows out"


class CsvSource(TableSource):
    """Each row's column ``data.text_field``; a name that holds ``.tsv`` is read with tabs."""

    suffixes = tuple(f"{kind}{pack}" for kind in (".csv", ".tsv") for pack in ("", ".gz", ".zst"))

    def rows(self, path: Path, *, name: str) -> Iterator[Row | Dropped]:
        text, group = self.cfg.text_field, self.cfg.group_field
        for record in self._read(path, name=name, wanted=[text, *filter(None, (group,))]):
            if isinstance(record, Dropped):
                yield record
            else:
                cells = record.cells
                yield Row(record.where, cells[text], None if group is None else cells[group])

    def record_rows(self, path: Path, *, name: str) -> Iterator[Record | Dropped]:
        return self._read(path, name=name, wanted=[])

    def _read(self, path: Path, *, name: str, wanted: list[str]) -> Iterator[Record | Dropped]:
        # The limit is the module's, and its default of 128 KiB is less than one source file may have.
        csv.field_size_limit(max(csv.field_size_limit(), 8 * self.cfg.max_bytes))
        with open_binary(path, name=name) as stream:
            lines = _Lines(stream, name=name)
            reader = csv.reader(lines, delimiter="\t" if ".tsv" in path.suffixes else ",", strict=True)
            header = self._next(reader, lines, name=name)
            if header is None:
                return
            if isinstance(header, Dropped):
                raise DataError(f"{name}: the header cannot be read", code="data.csv", got=header.detail)
            for field in wanted:
                if field not in header:
                    raise self.missing_field(field, name=name, where=1, fields=header)
            while (cells := self._next(reader, lines, name=name)) is not None:
                if isinstance(cells, Dropped):
                    yield cells
                elif cells:
                    yield self._record(cells, header, name=name, line=reader.line_num)

    def _next(self, reader: Iterator[list[str]], lines: _Lines, *, name: str) -> list[str] | Dropped | None:
        """The next row; None at the end. Raises DataError as ``data.on_error`` says."""
        place = f"{name}:{lines.number + 1}"
        try:
            cells = next(reader, None)
            if lines.bad is not None:
                problem, lines.bad = lines.bad, None
                raise problem
        except csv.Error as error:
            problem = DataError(f"{place} is no valid row", code="data.csv", got=error, next_step=_HINT)
            return settle(problem, skip=self.skip, id=place, path=name)
        except DataError as error:
            return settle(error, skip=self.skip, id=place, path=name)
        return cells

    def _record(self, cells: list[str], header: list[str], *, name: str, line: int) -> Record | Dropped:
        place = f"{name}:{line}"
        if len(cells) != len(header):
            problem = DataError(
                f"{place} has another number of cells than the header",
                code="data.csv",
                got=len(cells),
                wanted=len(header),
                next_step=_HINT,
            )
            return settle(problem, skip=self.skip, id=place, path=name)
        # Of columns of one name the first counts.
        return Record(line, dict(zip(reversed(header), reversed(cells), strict=True)), name)


class _Lines:
    """Decoded lines for the csv reader; the first that is no UTF-8 is kept in *bad*."""

    def __init__(self, stream: IO[bytes], *, name: str) -> None:
        self._stream = stream
        self._name = name
        self.number = 0
        self.bad: DataError | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline()
        if not line:
            raise StopIteration
        self.number += 1
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            place = f"{self._name}:{self.number}"
            got = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
            self.bad = DataError(
                f"{place} is not valid UTF-8", code="data.encoding", got=got, next_step=_HINT
            )
            return line.decode("utf-8", "replace")  # the row is dropped, the quoting must still be seen
