"""The weights digest: equal tensors give an equal digest, whatever the file's layout. No torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from codex_ml.errors import IntegrityError

_MAX_HEADER = 100_000_000
_CHUNK = 1 << 22


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The tensor table of a safetensors file and the offset of its data.

    Raises IntegrityError for a header that does not fit the file.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise _damaged(path, f"a header of {length} bytes in a file of {size}")
        text = stream.read(length)
    try:
        table = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a name twice, nested too deep
        raise _damaged(path, f"the header is no JSON ({error})") from error
    if not isinstance(table, dict):
        raise _damaged(path, "the header is no table")
    table.pop("__metadata__", None)
    start = 8 + length
    _check_ranges(path, table, data=size - start)
    return table, start


def _check_ranges(path: Path, table: dict[str, Any], *, data: int) -> None:
    """Every row is whole, and together the tensors cover the data once, without gap or overlap."""
    for name, row in table.items():
        if not _is_row(row):
            raise _damaged(path, f"tensor {name} lacks a dtype, a shape or two offsets")
    reached = 0
    for name, row in sorted(table.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = row["data_offsets"]
        if not begin <= end <= data:
            raise _damaged(path, f"tensor {name} leaves the file")
        if begin != reached:
            raise _damaged(path, f"tensor {name} starts at {begin}, not at {reached}")
        reached = end
    if reached != data:
        raise _damaged(path, f"{data - reached} bytes belong to no tensor")


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("dtype"), str)
        and _are_counts(row.get("shape"))
        and _are_counts(row.get("data_offsets"))
        and len(row["data_offsets"]) == 2
    )


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands twice")
    return table


def weights_digest(path: Path) -> str:
    """sha256 over the tensors sorted by name: name, NUL, dtype, NUL, JSON shape, NUL, raw bytes.

    Computed on the file's byte ranges. Raises IntegrityError for a malformed file.
    """
    table, start = read_header(path)
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        for name in sorted(table):
            row = table[name]
            shape = json.dumps(row["shape"], separators=(",", ":"))
            sha.update(f"{name}\0{row['dtype']}\0{shape}\0".encode())
            begin, end = row["data_offsets"]
            stream.seek(start + begin)
            left = end - begin
            while left:
                piece = stream.read(min(left, _CHUNK))
                if not piece:
                    raise _damaged(path, f"tensor {name} is cut short")
                sha.update(piece)
                left -= len(piece)
    return sha.hexdigest()


def _damaged(path: Path, reason: str) -> IntegrityError:
    return IntegrityError(f"{path} is not a sound safetensors file: {reason}", code="integrity.safetensors")
