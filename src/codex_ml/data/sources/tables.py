"""What the table sources share: which files, and rows that become documents."""

from __future__ import annotations

import glob
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from codex_ml.config.schema.data import DataConfig
from codex_ml.core.digest import digest_bytes
from codex_ml.data.document import Document, Dropped, InputFile, settle
from codex_ml.data.sources.common import (
    changed,
    given_path,
    hash_input,
    nothing_found,
    posix_name,
    unreadable,
)
from codex_ml.errors import ConfigError, DataError, did_you_mean

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Row:
    """One row: where it stands in its file (a line or row number), and its cells."""

    where: int
    text: object
    group: object = None


@dataclass(frozen=True)
class Record:
    """One row with all its cells; *size* is the bytes it took, 0 where they cannot be told."""

    where: int
    cells: dict[str, object]
    path: str
    size: int = 0

    @property
    def place(self) -> str:
        return f"{self.path}:{self.where}"


class TableSource(ABC):
    """Rows of one file, of a folder's files, or of the files that a glob names."""

    suffixes: tuple[str, ...]

    def __init__(self, cfg: DataConfig) -> None:
        self.cfg = cfg
        self.skip = cfg.on_error == "skip"
        self._found: list[tuple[InputFile, Path, int]] | None = None

    @property
    def origin(self) -> dict[str, str]:
        return {}

    @abstractmethod
    def rows(self, path: Path, *, name: str) -> Iterator[Row | Dropped]:
        """The rows of one file. Raises DataError; a row that is skipped is yielded as `Dropped`."""

    def record_rows(self, path: Path, *, name: str) -> Iterator[Record | Dropped]:  # noqa: ARG002 - for others
        """The rows of one file with all their cells; raises and yields as `rows` does."""
        raise no_records(self.cfg.source)

    def inputs(self) -> list[InputFile]:
        return [item for item, _, _ in self._files()]

    def documents(self) -> Iterator[Document | Dropped]:
        for name, row in self._each_file(self.rows):
            yield row if isinstance(row, Dropped) else self._document(row, name=name)

    def records(self) -> Iterator[Record | Dropped]:
        """Whole rows in a fixed order, streaming; raises and yields `Dropped` as `documents` does."""
        for _, record in self._each_file(self.record_rows):
            yield record

    def _each_file(
        self, read: Callable[..., Iterator[_Read | Dropped]]
    ) -> Iterator[tuple[str, _Read | Dropped]]:
        for item, path, stamp in self._files():
            name = item.path
            if not item.sha256:
                yield name, Dropped(name, name, 0, "data.unreadable", f"cannot read {name}")
                continue
            try:
                for row in read(path, name=name):
                    yield name, row
            except OSError as error:
                yield name, settle(unreadable(path, error), skip=self.skip, id=name, path=name)
            except DataError as error:
                yield name, settle(error, skip=self.skip, id=name, path=name)
            if _stamp(path) != stamp:
                raise changed(path)

    def missing_field(self, field: str, *, name: str, where: int, fields: list[str]) -> DataError:
        """The error for a row or file without the column *field*."""
        return DataError(
            f"{name}:{where} has no field '{field}'",
            code="data.field",
            got=", ".join(fields) or "no fields",
            next_step=did_you_mean(field, fields) + " (data.text_field, data.group_field)",
        )

    def _document(self, row: Row, *, name: str) -> Document | Dropped:
        place = f"{name}:{row.where}"
        try:
            raw = _cell(row.text, place=place, field=self.cfg.text_field).encode("utf-8")
            group = f"sha256:{digest_bytes(raw)}"
            if self.cfg.group_field is not None:
                number = isinstance(row.group, int)  # such columns often hold numbers
                group = (
                    str(row.group) if number else _cell(row.group, place=place, field=self.cfg.group_field)
                )
                group.encode("utf-8")
        except UnicodeEncodeError as error:
            bad = DataError(
                f"{place} holds a lone surrogate, which UTF-8 cannot", code="data.encoding", got=error.reason
            )
            return settle(bad, skip=self.skip, id=place, path=name)
        except DataError as error:
            return settle(error, skip=self.skip, id=place, path=name)
        return Document(id=place, group=group, path=name, raw=raw)

    def _files(self) -> list[tuple[InputFile, Path, int]]:
        if self._found is None:
            self._found = []
            for name, path in self._select():
                stamp = _stamp(path)
                self._found.append((hash_input(path, name=name, skip=self.skip), path, stamp))
        return self._found

    def _select(self) -> list[tuple[str, Path]]:
        pattern = self.cfg.path or ""
        if glob.has_magic(pattern) and not Path(pattern).expanduser().exists():
            # Names relative to the part before the first wildcard: the same on every machine.
            expanded = str(Path(pattern).expanduser())
            fixed = Path(expanded[: min(expanded.index(c) for c in "*?[" if c in expanded)] + "x").parent
            found = [Path(match) for match in glob.glob(expanded, recursive=True)]  # noqa: PTH207
        else:
            fixed = given_path(self.cfg)
            if not fixed.is_dir():
                return [(posix_name(fixed.name), fixed)]
            found = [path for path in fixed.rglob("*") if path.name.endswith(self.suffixes)]
        chosen = sorted(
            (posix_name(path.relative_to(fixed).as_posix()), path) for path in found if path.is_file()
        )
        if not chosen:
            raise nothing_found(self.cfg, self.cfg.path)
        return chosen


def no_records(source: str) -> ConfigError:
    """The error for samples from a source that has none."""
    return ConfigError(
        f"data.source={source} yields texts, not samples",
        code="data.samples-source",
        wanted="data.source=jsonl, parquet or csv, or data.format=text",
        next_step="add data=samples data.path=FILE.jsonl",
    )


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1


def _cell(value: object, *, place: str, field: str) -> str:
    if isinstance(value, str):
        return value
    raise DataError(
        f"{place}: the field '{field}' holds no text",
        code="data.field",
        got="null" if value is None else type(value).__name__,
        next_step="clean the file, or set data.on_error=skip to leave such rows out",
    )
