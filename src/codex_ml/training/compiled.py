"""The loss that training runs, compiled where the resolved run says so.

Shapes: B batch, T time, D model width, N trained positions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from codex_ml.core.labels import IGNORE
from codex_ml.modeling.decoder import Decoder, run_block
from codex_ml.modeling.pretrained import Pretrained
from codex_ml.objectives.chunked import chunk_loss, chunked_cross_entropy
from codex_ml.training.step import LossFunction, MicroBatch


def training_loss(
    model: Decoder, objective: Callable[[Tensor, Tensor], Tensor], *, compiled: bool
) -> LossFunction:
    """The summed loss of a micro-batch.

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

    def loss_of(batch: MicroBatch) -> Tensor:
        return tail(model.trunk(batch.inputs_BT, run_block=block), batch.labels_BT)

    return loss_of


def pretrained_loss(model: Pretrained, *, compiled: bool) -> LossFunction:
    """The summed loss of a micro-batch of a pretrained model; only trained positions reach the head."""
    one_chunk, first = chunk_loss, True
    if compiled:
        # Layers that are not alike are compiled apart, all in the first micro-batch; shapes never change.
        torch._dynamo.config.error_on_recompile = False
        torch._dynamo.config.recompile_limit = max(8, len(model.layers) + 1)
        model.compile_layers()
        one_chunk = torch.compile(chunk_loss, dynamic=False, fullgraph=True)
    head = model.causal.get_output_embeddings()

    def loss_of(batch: MicroBatch) -> Tensor:
        hidden_BTD = model.trunk(batch.inputs_BT, batch.positions_BT)
        trained_BT = batch.labels_BT != IGNORE
        hidden_ND = hidden_BTD[trained_BT].to(model.compute_dtype)
        loss = chunked_cross_entropy(
            hidden_ND, head.weight, head.bias, batch.labels_BT[trained_BT], one_chunk=one_chunk
        )
        nonlocal first
        if first and compiled:
            torch._dynamo.config.error_on_recompile = True
        first = False
        return loss

    return loss_of
