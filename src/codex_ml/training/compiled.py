"""The loss that training runs, compiled where the resolved run says so.

Shapes: B batch, T time, D model width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from codex_ml.modeling.decoder import Decoder, run_block
from codex_ml.training.step import LossFunction


def training_loss(
    model: Decoder, objective: Callable[[Tensor, Tensor], Tensor], *, compiled: bool
) -> LossFunction:
    """(inputs_BT, labels_BT) -> summed loss.

    One block is compiled and serves every layer, the head and the loss are compiled together: the
    compilation takes the time of one layer, whatever the depth. Shapes are fixed; evaluation and
    sampling call the model itself, so that their shapes never reach these callables.
    """

    def loss_of_stream(x_BTD: Tensor, labels_BT: Tensor) -> Tensor:
        return objective(model.head(x_BTD), labels_BT)

    block, tail = run_block, loss_of_stream
    if compiled:
        torch._dynamo.config.error_on_recompile = True
        block = torch.compile(run_block, dynamic=False, fullgraph=True)
        tail = torch.compile(loss_of_stream, dynamic=False, fullgraph=True)

    def loss_of(inputs_BT: Tensor, labels_BT: Tensor) -> Tensor:
        return tail(model.trunk(inputs_BT, run_block=block), labels_BT)

    return loss_of
