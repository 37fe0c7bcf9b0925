"""Reads what W&B writes offline: a log in LevelDB's format, of W&B's own protobuf records."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK, _FILE_HEADER, _HEADER = 32768, 7, 7
_FULL, _FIRST, _LAST = 1, 2, 4


def payloads(path: Path) -> Iterator[bytes]:
    """Every record of the log; one that a kill cut is left out."""
    data = path.read_bytes()
    assert data[:4] == b":W&B", data[:8]
    at, parts = _FILE_HEADER, b""
    while at + _HEADER <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0 or at + _HEADER + size > len(data):
            return
        part = data[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size
        parts = part if kind in (_FULL, _FIRST) else parts + part
        if kind in (_FULL, _LAST):
            yield parts


def records(run_directory: Path) -> Iterator[Any]:
    """The records of every W&B file of a run, in the order of their making."""
    from wandb.proto import wandb_internal_pb2

    for path in sorted(run_directory.glob("wandb/*run-*/run-*.wandb")):
        for payload in payloads(path):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(payload)
            yield record


def rows(run_directory: Path) -> Iterator[dict[str, Any]]:
    """The history: one dict for each call of ``log``."""
    for record in records(run_directory):
        if record.WhichOneof("record_type") == "history":
            yield {
                item.key or "/".join(item.nested_key): _value(item.value_json) for item in record.history.item
            }


def _value(text: str) -> Any:
    value = json.loads(text)
    return (
        {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}.get(value, value)
        if isinstance(value, str)
        else value
    )
