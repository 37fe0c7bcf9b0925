"""Write and read the parquet files of a prepared corpus and dataset, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from codex_ml.core.optional import require

Cell = str | bytes | int
#: Column -> kind: "s" text, "i" integer. Text may be given as UTF-8 bytes.
Columns = Mapping[str, str]

DOCUMENT = {"id": "s", "group": "s", "path": "s", "sha256": "s", "bytes": "i", "characters": "i", "text": "s"}
DROPPED = {"id": "s", "path": "s", "bytes": "i", "reason": "s", "detail": "s"}
TOKENIZED = {
    "split": "s",
    "id": "s",
    "group": "s",
    "path": "s",
    "sha256": "s",
    "bytes": "i",
    "characters": "i",
    "token_start": "i",
    "token_count": "i",
}

_GROUP_BYTES = 4 << 20
_GROUP_ROWS = 8192


class RowWriter:
    """Rows to one parquet file; a row group is written whenever enough bytes wait."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self._arrow = require("pyarrow", extra="train")
        parquet = require("pyarrow.parquet", extra="train")
        kinds = {"s": self._arrow.string(), "i": self._arrow.int64()}
        self._schema = self._arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=False)
        self._rows: list[Sequence[Cell]] = []
        self._bytes = 0

    def add(self, *cells: Cell) -> None:
        """One row, its cells in the order of the columns."""
        self._rows.append(cells)
        self._bytes += sum(len(cell) for cell in cells if not isinstance(cell, int))
        if self._bytes >= _GROUP_BYTES or len(self._rows) >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [
                self._arrow.array(list(cells), type=field.type)
                for cells, field in zip(columns, self._schema, strict=True)
            ]
            self._writer.write_batch(self._arrow.record_batch(arrays, schema=self._schema))
            self._rows, self._bytes = [], 0


def read_rows(path: Path, *, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a file that `RowWriter` wrote, one row group at a time."""
    parquet = require("pyarrow.parquet", extra="train")
    with parquet.ParquetFile(path, pre_buffer=False) as file:
        for index in range(file.num_row_groups):
            table = file.read_row_group(index, columns=list(columns), use_threads=False)
            yield from zip(*(table.column(name).to_pylist() for name in columns), strict=True)
