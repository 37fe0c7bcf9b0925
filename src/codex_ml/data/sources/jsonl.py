"""Source ``jsonl``: one JSON object per line, plain, .gz or .zst."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from codex_ml.data.document import Dropped, settle
from codex_ml.data.sources.streams import open_binary
from codex_ml.data.sources.tables import Record, Row, TableSource
from codex_ml.errors import DataError

_BOM = b"\xef\xbb\xbf"


class JsonlSource(TableSource):
    """Each line's ``data.text_field``; blank lines are nothing."""

    suffixes = tuple(f"{kind}{pack}" for kind in (".jsonl", ".ndjson") for pack in ("", ".gz", ".zst"))

    def rows(self, path: Path, *, name: str) -> Iterator[Row | Dropped]:
        for record in self.record_rows(path, name=name):
            yield record if isinstance(record, Dropped) else self._row(record)

    def record_rows(self, path: Path, *, name: str) -> Iterator[Record | Dropped]:
        # A text takes at most six bytes per byte in JSON (\u00XX); a longer line need not be held.
        limit = 8 * self.cfg.max_bytes + (1 << 20)
        with open_binary(path, name=name) as stream:
            for number, (line, size) in enumerate(_lines(stream, limit=limit), start=1):
                place = f"{name}:{number}"
                if line is None:
                    yield Dropped(place, name, size, "clean.long", f"a line of {size} bytes")
                elif line.strip():
                    line = line.removeprefix(_BOM) if number == 1 else line
                    yield self._record(line, name=name, number=number)

    def _record(self, line: bytes, *, name: str, number: int) -> Record | Dropped:
        place = f"{name}:{number}"
        try:
            return Record(number, _parse(line, place=place), name, len(line))
        except DataError as error:
            return settle(error, skip=self.skip, id=place, path=name, size=len(line))

    def _row(self, record: Record) -> Row | Dropped:
        cells = record.cells
        for field in filter(None, (self.cfg.text_field, self.cfg.group_field)):
            if field not in cells:
                error = self.missing_field(field, name=record.path, where=record.where, fields=list(cells))
                return settle(error, skip=self.skip, id=record.place, path=record.path, size=record.size)
        return Row(record.where, cells[self.cfg.text_field], cells.get(self.cfg.group_field or ""))


def _lines(stream: IO[bytes], *, limit: int) -> Iterator[tuple[bytes | None, int]]:
    """Lines with their sizes; a line beyond *limit* bytes is read past and given as None."""
    while line := stream.readline(limit):
        if len(line) < limit or line.endswith(b"\n"):
            yield line, len(line)
            continue
        size = len(line)
        while line and not line.endswith(b"\n"):
            line = stream.readline(limit)
            size += len(line)
        yield None, size


def _parse(line: bytes, *, place: str) -> dict[str, object]:
    hint = "mend the line, or set data.on_error=skip to leave such lines out"
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        got = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
        raise DataError(
            f"{place} is not valid UTF-8", code="data.encoding", got=got, next_step=hint
        ) from error
    except json.JSONDecodeError as error:
        got = f"{error.msg} at column {error.colno}"
        raise DataError(f"{place} is no JSON", code="data.jsonl", got=got, next_step=hint) from error
    except ValueError as error:
        raise DataError(f"{place} holds a number too long", code="data.jsonl", next_step=hint) from error
    except RecursionError as error:
        raise DataError(f"{place} nests too deep", code="data.jsonl", next_step=hint) from error
    if not isinstance(record, dict):
        got = type(record).__name__
        raise DataError(f"{place} is no JSON object", code="data.jsonl", got=got, next_step=hint)
    return record
