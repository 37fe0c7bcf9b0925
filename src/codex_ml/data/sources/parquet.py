"""Source ``parquet``: a text column of one file, a folder's files, or a glob."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codex_ml.core.optional import require
from codex_ml.data.document import Dropped
from codex_ml.data.sources.tables import Record, Row, TableSource
from codex_ml.errors import DataError

_BATCH_ROWS = 64


class ParquetSource(TableSource):
    """Each row's column ``data.text_field``, read in small batches."""

    suffixes = (".parquet",)

    def rows(self, path: Path, *, name: str) -> Iterator[Row | Dropped]:
        text, group = self.cfg.text_field, self.cfg.group_field
        wanted = [field for field in (text, group) if field is not None]
        for number, cells in self._read(path, name=name, wanted=wanted):
            yield Row(number, cells[text], None if group is None else cells[group])

    def record_rows(self, path: Path, *, name: str) -> Iterator[Record | Dropped]:
        for number, cells in self._read(path, name=name, wanted=None):
            yield Record(number, cells, name)

    def _read(
        self, path: Path, *, name: str, wanted: list[str] | None
    ) -> Iterator[tuple[int, dict[str, object]]]:
        """Numbered rows with the columns *wanted*, None for all."""
        arrow = require("pyarrow", extra="train")
        parquet = require("pyarrow.parquet", extra="train")
        try:
            # Without memory map and pre-buffering, what is held is one page per column.
            with parquet.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1 << 20) as file:
                yield from self._batches(file, name=name, wanted=wanted)
        except arrow.ArrowInvalid as error:
            raise _damaged(name, error) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _damaged(name, error) from error

    def _batches(
        self, file: Any, *, name: str, wanted: list[str] | None
    ) -> Iterator[tuple[int, dict[str, object]]]:
        fields = list(file.schema_arrow.names)
        for field in wanted or []:
            if field not in fields:
                raise self.missing_field(field, name=name, where=0, fields=fields)
        columns, number = wanted or fields, 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            try:
                cells = [batch.column(field).to_pylist() for field in columns]
            except UnicodeDecodeError as error:
                raise _damaged(name, error) from error
            for row in zip(*cells, strict=True):
                number += 1
                yield number, dict(zip(columns, row, strict=True))


def _damaged(name: str, error: BaseException) -> DataError:
    return DataError(
        f"{name} is no whole parquet file",
        code="data.truncated",
        got=str(error).splitlines()[0] if str(error) else type(error).__name__,
        next_step="copy or download the file again",
    )
