"""FSDP2: every worker holds a part of weights, gradients and optimizer state (Zhao et al., 2023).

PyTorch shards (``fully_shard``) and its distributed checkpoint (DCP) stores and reshards; both
through public interfaces. Checkpoints are safetensors, one file a worker and part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from codex_ml.checkpointing.snapshot import StreamDigest
from codex_ml.modeling.init import initial_value
from codex_ml.training.distributed import World

if TYPE_CHECKING:
    from codex_ml.modeling.decoder import Decoder
    from codex_ml.training.step import LossFunction, MicroBatch


def shard(model: Decoder, *, device: torch.device, world: World) -> None:
    """Spread an empty (meta) model over the workers: one group for each block, one for the rest."""
    mesh = init_device_mesh(device.type, (world.size,))
    for block in model.model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.to_empty(device=device)
    model.reset_positions(device)


@torch.no_grad()
def fill(model: Decoder, *, seed: int, world: World, given: Mapping[str, Tensor] | None) -> None:
    """Give every worker its part of the first weights: the same values as without sharding.

    One whole tensor exists at a time.
    """
    for name, parameter in model.named_parameters():
        whole = given[name] if given is not None else initial_value(name, parameter.shape, model.cfg, seed)
        pieces = whole.chunk(world.size)
        local = parameter.to_local() if isinstance(parameter, DTensor) else parameter
        if local.numel():
            local.copy_(pieces[world.rank])


def sharded_loss(model: nn.Module, objective: Callable[[Tensor, Tensor], Tensor]) -> LossFunction:
    """Through the model's own call, whose hooks gather the weights."""

    def loss_of(batch: MicroBatch) -> Tensor:
        return objective(model(batch.inputs_BT), batch.labels_BT)

    return loss_of


def whole_tensors(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Each tensor by name, whole and on the host, one at a time; every worker must take part."""
    for name in sorted(tensors):
        tensor = tensors[name]
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        yield name, whole.detach().cpu().contiguous()


def whole_digest(tensors: Mapping[str, Tensor]) -> str:
    """The weights digest of sharded tensors: that of one file with all of them."""
    digest = StreamDigest()
    for name, tensor in whole_tensors(tensors):
        digest.add(name, tensor)
    return digest.hexdigest()
