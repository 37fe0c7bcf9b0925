"""Canonical JSON and sha256 digests: equal values give equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN; the same text for equal values.

    Raises ValueError for NaN or infinity, TypeError for values JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_bytes(data: bytes | bytearray | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Any) -> str:
    """sha256 of the canonical JSON of *value*."""
    return digest_bytes(canonical_json(value).encode("utf-8"))


def digest_file(path: Path) -> str:
    """sha256 of a file's bytes, read in 1 MiB pieces."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            sha.update(piece)
    return sha.hexdigest()


def merkle_root(rows: Iterable[tuple[str, int, str]]) -> str:
    """Root over (path, size, sha256) rows, independent of their order.

    One level suffices: the digest binds every row, and a row binds its file.
    """
    return digest_json(sorted([list(row) for row in rows]))


def digest_tree(root: Path, *, pattern: str = "**/*") -> str:
    """Merkle root over the regular files below *root*, caches and byte code left out."""
    rows = [
        (path.relative_to(root).as_posix(), path.stat().st_size, digest_file(path))
        for path in root.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return merkle_root(rows)
