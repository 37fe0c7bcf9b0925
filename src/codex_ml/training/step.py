"""One optimizer step: how. Nothing here knows about files, logs or schedules.

A step has K canonical shards, whatever the number of workers. Worker r of W computes the shards
r·K/W … (r+1)·K/W - 1, one at a time at one fixed shape.

Shapes: B rows of a micro-batch, T time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from codex_ml.errors import TrainingError
from codex_ml.training.distributed import World

#: tree: one fixed binary tree over the K shards, inside a worker and across workers (any W gives the
#: same bits). sequence: shards added one by one, workers by the tree (fixed W). any: as is fastest. sharded:
#: FSDP2 has summed already, and its average over workers is undone.
Order = Literal["tree", "sequence", "any", "sharded"]
Gradient = list[Tensor]


@dataclass(frozen=True)
class MicroBatch:
    """Inputs and shifted labels, each B x T int64, how many labels count, and the shard's number.

    *positions_BT* restarts at 0 with each document of a packed row; None where rows are one text.
    """

    inputs_BT: Tensor
    labels_BT: Tensor
    tokens: int
    shard: int = 0
    positions_BT: Tensor | None = None


#: A micro-batch -> its summed loss in nats
LossFunction = Callable[[MicroBatch], Tensor]


@dataclass(frozen=True)
class Gradients:
    """What a step knows before it updates: mean loss in nats per token, norm before clipping."""

    loss: float
    norm: float
    tokens: int


class Abandoned(Exception):
    """A stop was asked for inside the step; nothing has been changed, the step is done again."""


def compute_gradients(
    loss_of: LossFunction,
    parameters: Sequence[nn.Parameter],
    shards: Sequence[MicroBatch],
    *,
    clip_norm: float,
    world: World,
    order: Order,
    before_shard: Callable[[int], None],
    stop: Callable[[], bool],
) -> Gradients:
    """Forward, backward, sum over all shards of all workers, clipping; updates nothing.

    Leaves the gradient of the mean loss per token in ``.grad``: the sum of losses is divided once by
    the token count of the whole step, so K shards weigh their tokens as one big batch does.
    *before_shard* gets each shard's number, to seed its random draws. Raises Abandoned when *stop*
    says so, on any worker, between two shards.
    """
    tokens = int(math.fsum(world.gather([float(shard.tokens) for shard in shards])))
    # FSDP2 averages over the workers where a sum is wanted.
    share = torch.tensor((world.size if order == "sharded" else 1.0) / tokens, device=parameters[0].device)
    losses: list[Tensor] = []
    nodes: list[tuple[int, Gradient]] = []
    for number, shard in enumerate(shards):
        if number and world.any(stop()):
            raise Abandoned
        before_shard(shard.shard)
        loss = loss_of(shard)
        torch.autograd.backward(loss, share)
        losses.append(loss.detach())
        if order == "tree":
            _push(nodes, _take(parameters))
    if order == "tree":
        ((_, gradient),) = nodes
        _put(parameters, gradient)
    _sum_over_workers(parameters, world=world, order=order)
    loss_sum = math.fsum(world.gather(torch.stack(losses).double().tolist()))
    return Gradients(loss_sum / tokens, _clip(parameters, clip_norm), tokens)


def _push(nodes: list[tuple[int, Gradient]], gradient: Gradient) -> None:
    """Add a leaf to the binary tree; nodes of equal height merge, the earlier one on the left."""
    height = 0
    while nodes and nodes[-1][0] == height:
        _, left = nodes.pop()
        torch._foreach_add_(left, gradient)
        gradient, height = left, height + 1
    nodes.append((height, gradient))


def _take(parameters: Sequence[nn.Parameter]) -> Gradient:
    taken = []
    for parameter in parameters:
        if parameter.grad is None:
            raise TrainingError(
                "the loss does not reach a parameter that is to be trained",
                code="train.no-gradient",
                got=f"no gradient for one of shape {tuple(parameter.shape)}",
            )
        taken.append(parameter.grad)
        parameter.grad = None
    return taken


def _put(parameters: Sequence[nn.Parameter], gradient: Gradient) -> None:
    for parameter, value in zip(parameters, gradient, strict=True):
        parameter.grad = value


def _sum_over_workers(parameters: Sequence[nn.Parameter], *, world: World, order: Order) -> None:
    if world.size == 1 or order == "sharded":
        return
    gradient = _take(parameters)
    flat = torch.cat([value.reshape(-1) for value in gradient])
    flat = world.fast_sum(flat) if order == "any" else world.tree_sum(flat)
    pieces = torch.split(flat, [value.numel() for value in gradient])
    _put(parameters, [piece.view_as(value).clone() for piece, value in zip(pieces, gradient, strict=True)])


def _clip(parameters: Sequence[nn.Parameter], clip_norm: float) -> float:
    """Scale the gradient down to *clip_norm*; returns its norm before."""
    gradient = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradient, foreach=True)
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    if norm > clip_norm:  # a NaN norm compares false: the guard sees the gradients as they are
        nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm, foreach=True)
    return float(norm)
