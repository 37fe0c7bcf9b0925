"""Initial weights from the seed: every tensor has its own counter-based draw, so none shifts another."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from codex_ml.core.draws import draw_seed
from codex_ml.modeling.decoder import Decoder

#: Projections that write into the residual stream start smaller (Radford et al., GPT-2, 2019).
_RESIDUAL_OUTPUTS = ("o_proj.weight", "down_proj.weight")


@torch.no_grad()
def initialise(model: Decoder, *, seed: int) -> None:
    """Fill every matrix from a normal distribution of ``cfg.init_std``; norms are ones.

    Drawn on the CPU whatever the device, so that the bits do not depend on it.
    """
    depth = math.sqrt(2 * model.cfg.layers)
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            parameter.fill_(1.0)
            continue
        std = model.cfg.init_std / (depth if name.endswith(_RESIDUAL_OUTPUTS) else 1.0)
        parameter.copy_(_normal(parameter.shape, std=std, seed=draw_seed(seed, f"init:{name}")))


def _normal(shape: torch.Size, *, std: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(shape).normal_(0.0, std, generator=generator)
