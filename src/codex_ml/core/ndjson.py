"""Append-only newline-delimited JSON that survives a kill in mid-line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


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


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Every complete line of *path*; nothing when it does not exist."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield json.loads(line)


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
