"""Append-only newline-delimited JSON that survives a kill in mid-line."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any

from codex_ml.errors import IntegrityError

_BLOCK = 1 << 16
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON lacks, by the strings "nan", "inf", "-inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def last_line(path: Path, end: int) -> bytes:
    """The line that ends at byte *end*, read from there backwards; with its newline if it has one."""
    start, tail = end, b""
    with path.open("rb") as stream:
        while start > 0 and tail.rfind(b"\n", 0, len(tail) - 1) < 0:
            size = min(_BLOCK, start)
            start -= size
            stream.seek(start)
            tail = stream.read(size) + tail
    return tail[tail.rfind(b"\n", 0, max(0, len(tail) - 1)) + 1 :]


def repair(path: Path) -> int:
    """Cut a last line that a kill left unfinished. Returns the number of bytes cut."""
    size = path.stat().st_size if path.exists() else 0
    line = last_line(path, size) if size else b""
    if not line or line.endswith(b"\n"):
        return 0
    os.truncate(path, size - len(line))
    return len(line)


def cut_tail(path: Path, *, beyond: Callable[[bytes], bool]) -> None:
    """Cut the lines at the end for which *beyond* holds; costs what is cut, however long the file is."""
    if not path.exists():
        return
    repair(path)
    end = size = path.stat().st_size
    while end and beyond(line := last_line(path, end)):
        end -= len(line)
    if end < size:
        os.truncate(path, end)


def parse_line(line: bytes, place: str, *, fields: Collection[str] = ()) -> dict[str, Any]:
    """The record of one complete line; *place* is its file and number.

    Raises IntegrityError when it is no JSON object, or lacks one of *fields*.
    """
    try:
        record = json.loads(line.rstrip(b"\n").decode("utf-8"))  # of bytes, NULs would be taken for UTF-32
    except ValueError as error:  # bad UTF-8 is one, too
        reason = str(error)
    else:
        if isinstance(record, dict) and set(fields) <= set(record):
            return record
        missing = sorted(set(fields) - set(record)) if isinstance(record, dict) else []
        reason = f"no {', '.join(missing)}" if missing else "another JSON value"
    raise IntegrityError(
        f"{place} is no record",
        code="metrics.line",
        got=reason,
        wanted="one JSON object" + (f" with {', '.join(sorted(fields))}" if fields else ""),
        next_step="restore the file, or remove that line; weights and checkpoints do not depend on it",
    )


def read(path: Path, *, fields: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Every complete line of *path*; nothing when it does not exist.

    Raises IntegrityError naming file and line of the first one that `parse_line` refuses.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                yield parse_line(line, f"{path}:{number}", fields=fields)


class NdjsonAppender:
    """One JSON object per line, flushed line by line; a torn last line is cut on opening."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        repair(path)
        self._stream: IO[str] = path.open("a", encoding="utf-8")

    @property
    def empty(self) -> bool:
        """Whether the file holds nothing."""
        return os.fstat(self._stream.fileno()).st_size == 0

    def write(self, *records: dict[str, Any]) -> None:
        """Append records in one call of the system."""
        self._stream.write("".join(f"{_encode(finite(record))}\n" for record in records))
        self._stream.flush()

    def sync(self) -> None:
        """Flush to the disk."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()
