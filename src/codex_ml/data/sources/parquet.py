"""Source ``parquet``: a text column of one file, a folder's files, or a glob."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codex_ml.core.optional import require
from codex_ml.data.document import Dropped
from codex_ml.data.sources.tables import Row, TableSource
from codex_ml.errors import DataError

_BATCH_ROWS = 64


class ParquetSource(TableSource):
    """Each row's column ``data.text_field``, read in small batches."""

    suffixes = (".parquet",)

    def rows(self, path: Path, *, name: str) -> Iterator[Row | Dropped]:
        arrow = require("pyarrow", extra="train")
        parquet = require("pyarrow.parquet", extra="train")
        try:
            # Without memory map and pre-buffering, what is held is one page per column.
            with parquet.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1 << 20) as file:
                yield from self._read(file, name=name)
        except arrow.ArrowInvalid as error:
            raise _damaged(name, error) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _damaged(name, error) from error

    def _read(self, file: Any, *, name: str) -> Iterator[Row]:
        fields = list(file.schema_arrow.names)
        wanted = [field for field in (self.cfg.text_field, self.cfg.group_field) if field is not None]
        for field in wanted:
            if field not in fields:
                raise self.missing_field(field, name=name, where=0, fields=fields)
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
            group = self.cfg.group_field
            try:
                texts = batch.column(self.cfg.text_field).to_pylist()
                groups = [None] * len(texts) if group is None else batch.column(group).to_pylist()
            except UnicodeDecodeError as error:
                raise _damaged(name, error) from error
            for text, value in zip(texts, groups, strict=True):
                number += 1
                yield Row(number, text, value)


def _damaged(name: str, error: BaseException) -> DataError:
    return DataError(
        f"{name} is no whole parquet file",
        code="data.truncated",
        got=str(error).splitlines()[0] if str(error) else type(error).__name__,
        next_step="copy or download the file again",
    )
