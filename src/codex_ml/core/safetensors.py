"""The header of a safetensors file, read and checked without torch or the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codex_ml.errors import IntegrityError

_MAX_HEADER = 100_000_000


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The tensor table of a safetensors file and the offset of its data.

    Raises IntegrityError for a header that does not fit the file.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise damaged(path, f"a header of {length} bytes in a file of {size}")
        text = stream.read(length)
    try:
        table = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a name twice, nested too deep
        raise damaged(path, f"the header is no JSON ({error})") from error
    if not isinstance(table, dict):
        raise damaged(path, "the header is no table")
    table.pop("__metadata__", None)
    start = 8 + length
    _check_ranges(path, table, data=size - start)
    return table, start


def _check_ranges(path: Path, table: dict[str, Any], *, data: int) -> None:
    """Every row is whole, and together the tensors cover the data once, without gap or overlap."""
    for name, row in table.items():
        if not _is_row(row):
            raise damaged(path, f"tensor {name} lacks a dtype, a shape or two offsets")
    reached = 0
    for name, row in sorted(table.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = row["data_offsets"]
        if not begin <= end <= data:
            raise damaged(path, f"tensor {name} leaves the file")
        if begin != reached:
            raise damaged(path, f"tensor {name} starts at {begin}, not at {reached}")
        reached = end
    if reached != data:
        raise damaged(path, f"{data - reached} bytes belong to no tensor")


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


def damaged(path: Path, reason: str) -> IntegrityError:
    """The error of a file that is not what its header says, or has none."""
    return IntegrityError(f"{path} is not a sound safetensors file: {reason}", code="integrity.safetensors")
