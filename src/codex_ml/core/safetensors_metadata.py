"""The ``__metadata__`` of a safetensors file: strings beside the tensors, which no weights digest covers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codex_ml.core.safetensors import damaged, read_header

METADATA = "__metadata__"


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a sound file. Raises IntegrityError for another."""
    read_header(path)
    return dict(_header(path)[0].get(METADATA) or {})


def copy_with_metadata(source: Path, target: Path, metadata: Mapping[str, str]) -> None:
    """Write *source* to *target* with *metadata* added; the tensors stay byte for byte.

    *target* may be *source*: it is replaced when the new file is whole. Raises IntegrityError for a
    source that is no sound safetensors file.
    """
    read_header(source)
    header, start = _header(source)
    header[METADATA] = {"format": "pt", **(header.get(METADATA) or {}), **metadata}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of eight, as readers map it
    written = target.with_name(f".tmp-{target.name}")
    with source.open("rb") as old, written.open("wb") as new:
        old.seek(start)
        new.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(old, new, 1 << 20)
    os.replace(written, target)


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    found = header.get(METADATA)
    if found is not None and not (
        isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    ):
        raise damaged(path, f"{METADATA} holds other things than text")
    return header, 8 + length
