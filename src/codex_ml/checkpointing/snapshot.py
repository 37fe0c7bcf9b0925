"""The state of one moment in host memory, free of what training does next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: torch dtype -> its name in a safetensors header
DTYPES = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.int64": "I64",
    "torch.int32": "I32",
    "torch.int16": "I16",
    "torch.int8": "I8",
    "torch.uint8": "U8",
    "torch.bool": "BOOL",
}


@dataclass(frozen=True)
class Snapshot:
    """Weights and optimizer state, contiguous and on the host."""

    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]

    @property
    def nbytes(self) -> int:
        tensors = (*self.model.values(), *self.optimizer.values())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class SnapshotBuffers:
    """Host buffers that serve one snapshot after the other: copying costs no page fault twice."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def take(self, *, model: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> Snapshot:
        """Copy the live tensors. The snapshot before this one is overwritten."""
        import torch

        snapshot = Snapshot(self._copy("model", model), self._copy("optimizer", optimizer))
        if any(tensor.is_cuda for tensor in model.values()):
            torch.cuda.synchronize()
        return snapshot

    def _copy(self, part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        import torch

        copies = {}
        for name, tensor in tensors.items():
            key = f"{part}/{name}"
            buffer = self._buffers.get(key)
            if buffer is None or buffer.shape != tensor.shape or buffer.dtype != tensor.dtype:
                buffer = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
                self._buffers[key] = buffer
            copies[name] = buffer.copy_(tensor.detach(), non_blocking=True)
        return copies


def on_host(*, model: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> Snapshot:
    """The live tensors themselves where they lie on the host, copies elsewhere."""
    return Snapshot(_host(model), _host(optimizer))


def _host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def raw_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous host tensor, without a copy (little-endian machines)."""
    import torch

    raw: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return raw


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """The weights digest of tensors in memory: that of a file which holds the same ones."""
    digest = StreamDigest()
    for name in sorted(tensors):
        digest.add(name, tensors[name])
    return digest.hexdigest()


class StreamDigest:
    """The weights digest of tensors that come one by one, sorted by name."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add(self, name: str, tensor: Tensor) -> None:
        shape = json.dumps(list(tensor.shape), separators=(",", ":"))
        self._sha.update(f"{name}\0{DTYPES[str(tensor.dtype)]}\0{shape}\0".encode())
        self._sha.update(raw_bytes(tensor))

    def hexdigest(self) -> str:
        return self._sha.hexdigest()
