"""Append-only newline-delimited JSON that survives a kill in mid-line."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from codex_ml.errors import IntegrityError


def finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON lacks, by the strings "nan", "inf", "-inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return value


def repair(path: Path) -> int:
    """Cut a last line that a kill left unfinished. Returns the number of bytes cut."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    keep = data.rfind(b"\n") + 1
    if keep < len(data):
        with path.open("r+b") as stream:
            stream.truncate(keep)
    return len(data) - keep


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


def keep_steps(path: Path, last_step: int) -> None:
    """Drop every line whose ``step`` lies beyond *last_step*, so that no step appears twice."""
    if not path.exists():
        return
    repair(path)
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if int(json.loads(line).get("step") or 0) <= last_step]
    if len(kept) < len(lines):
        temporary = path.with_name(f".tmp-{path.name}")
        temporary.write_bytes(b"".join(kept))
        temporary.replace(path)


class NdjsonAppender:
    """One JSON object per line, flushed line by line; a torn last line is cut on opening."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        repair(path)
        self._stream: IO[str] = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        text = json.dumps(finite(record), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()
