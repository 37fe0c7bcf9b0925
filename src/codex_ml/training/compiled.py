"""The callables that training and evaluation run, compiled where the resolved run says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codex_ml.modeling.decoder import Decoder
from codex_ml.training.step import LossFunction


def training_loss(
    model: Decoder, objective: Callable[[Tensor, Tensor], Tensor], *, compiled: bool
) -> LossFunction:
    """(inputs_BT, labels_BT) -> summed loss. One fixed shape: a recompile is an error."""

    def loss_of(inputs_BT: Tensor, labels_BT: Tensor) -> Tensor:
        return objective(model(inputs_BT), labels_BT)

    return maybe_compile(loss_of, compiled=compiled)


def maybe_compile(function: Callable[..., Any], *, compiled: bool) -> Callable[..., Any]:
    """``torch.compile`` for fixed shapes, or the function itself."""
    if not compiled:
        return function
    return torch.compile(function, dynamic=False, fullgraph=True)  # type: ignore[no-any-return]
