"""The weights digest: equal tensors give an equal digest, whatever the file's layout. No torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from codex_ml.core.safetensors import damaged, read_header

_CHUNK = 1 << 22


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
                    raise damaged(path, f"tensor {name} is cut short")
                sha.update(piece)
                left -= len(piece)
    return sha.hexdigest()
