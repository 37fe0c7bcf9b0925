"""Write tensors to a safetensors file, straight from their memory.

The library's own ``save_file`` copies every tensor first and hides the operating system's error
number in a text; a checkpoint needs neither. https://huggingface.co/docs/safetensors (format).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_ml.checkpointing.snapshot import DTYPES, raw_bytes

if TYPE_CHECKING:
    from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write contiguous host tensors by name; not yet flushed to the disk. Raises OSError."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    # Wide elements first, so that every tensor is aligned to its element; the library wants it so.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    for name in names:
        tensor = tensors[name]
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPES[str(tensor.dtype)],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            stream.write(raw_bytes(tensors[name]))
