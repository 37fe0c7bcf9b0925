"""Checkpoints of which every worker wrote a part: PyTorch's distributed checkpoint (DCP), in safetensors.

DCP stores and reshards; its workers exchange their plans among themselves, and nothing pickled
reaches the disk.
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.checkpointing.layout import SHARDS
from codex_ml.checkpointing.reader import Checkpoint
from codex_ml.checkpointing.writer import write_tensors
from codex_ml.core.publish import fsync_path, writing
from codex_ml.errors import CheckpointLoadError, StorageError

if TYPE_CHECKING:
    from torch import Tensor


def write_shards(directory: Path, tensors: Mapping[str, Tensor]) -> None:
    """Every worker writes its part of *tensors* below *directory*."""
    import torch.distributed as dist
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    try:
        save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(directory), save_distributed=True))
    except CheckpointException as error:
        raise StorageError(
            f"cannot write the shards below {directory}",
            code="storage.write",
            got=" ".join(str(error).split())[:300],
            next_step="check the disk and run the same command again",
        ) from error
    dist.barrier()


def read_shards(directory: Path, into: Mapping[str, Tensor]) -> None:
    """Fill *into* in place, however many workers wrote the files."""
    import torch.distributed as dist
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    reader = HuggingFaceStorageReader(str(directory))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*assuming the intent is to load in a single process")
        try:
            load(dict(into), storage_reader=reader, no_dist=not dist.is_initialized())
        except CheckpointException as error:
            raise CheckpointLoadError(
                f"cannot read the shards below {directory}",
                code="checkpoint.damaged",
                got=" ".join(str(error).split())[:300],
            ) from error


def consolidate(checkpoint: Checkpoint, folder: Path) -> Path:
    """The weights of a sharded checkpoint as one safetensors file in *folder*, named by their digest.

    Made once. Raises CheckpointLoadError when the shards do not make up the weights of the manifest.
    """
    target = folder / f"{checkpoint.weights}.safetensors"
    if not (target.is_file() and weights_digest(target) == checkpoint.weights):
        temporary = folder / f".tmp-{uuid.uuid4().hex[:8]}"
        with writing(target):
            folder.mkdir(parents=True, exist_ok=True)
            write_tensors(temporary, whole_tensors(checkpoint.path / SHARDS / "model"))
            fsync_path(temporary)
            temporary.replace(target)
    if (found := weights_digest(target)) != checkpoint.weights:
        raise CheckpointLoadError(
            f"{checkpoint.path}: the shards do not make up the weights of the manifest",
            code="checkpoint.weights",
            got=found,
            wanted=checkpoint.weights,
        )
    return target


def whole_tensors(directory: Path) -> dict[str, Tensor]:
    """What the shards below *directory* make up, by name, on the host."""
    import torch
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    rows = HuggingFaceStorageReader(str(directory)).read_metadata().state_dict_metadata
    tensors = {
        name: torch.empty(row.size, dtype=row.properties.dtype)
        for name, row in rows.items()
        if isinstance(row, TensorStorageMetadata)
    }
    read_shards(directory, tensors)
    return tensors
