"""One optimizer step: how. Nothing here knows about files, logs or schedules.

Shapes: B rows of a micro-batch, T time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: (inputs_BT, labels_BT) -> summed loss in nats
LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class MicroBatch:
    """Inputs and shifted labels, each B x T int64, and how many labels count."""

    inputs_BT: Tensor
    labels_BT: Tensor
    tokens: int


@dataclass(frozen=True)
class Gradients:
    """What a step knows before it updates: mean loss in nats per token, norm before clipping."""

    loss: float
    norm: float
    tokens: int


def accumulate(loss_of: LossFunction, model: nn.Module, shards: Sequence[MicroBatch]) -> tuple[float, int]:
    """Backward over every shard; leaves the gradient of the mean loss per token in ``.grad``.

    The sum of losses is divided once by the token count of the whole step, so N shards weigh their
    tokens as one big batch does. Returns (mean loss, tokens).
    """
    tokens = sum(shard.tokens for shard in shards)
    device = next(model.parameters()).device
    share = torch.tensor(1.0 / tokens, device=device)
    total = torch.zeros((), device=device)
    for shard in shards:
        loss = loss_of(shard.inputs_BT, shard.labels_BT)
        torch.autograd.backward(loss, share)
        total = total + loss.detach()
    return float(total) / tokens, tokens


def compute_gradients(
    loss_of: LossFunction, model: nn.Module, shards: Sequence[MicroBatch], *, clip_norm: float
) -> Gradients:
    """Forward, backward and clipping of one optimizer step; updates nothing."""
    loss, tokens = accumulate(loss_of, model, shards)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients, foreach=True)
    if norm > clip_norm:  # a NaN norm compares false: the guard sees the gradients as they are
        nn.utils.clip_grads_with_norm_(model.parameters(), clip_norm, norm, foreach=True)
    return Gradients(loss=loss, norm=float(norm), tokens=tokens)
