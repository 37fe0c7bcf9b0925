"""Initial weights from the seed: every tensor has its own counter-based draw, so none shifts another."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from codex_ml.config.schema import ModelConfig
from codex_ml.core.draws import draw_seed
from codex_ml.modeling.decoder import Decoder

#: Projections that write into the residual stream start smaller (Radford et al., GPT-2, 2019).
_RESIDUAL_OUTPUTS = ("o_proj.weight", "down_proj.weight")


@torch.no_grad()
def initialise(model: Decoder, *, seed: int) -> None:
    """Fill every matrix from a normal distribution of ``cfg.init_std``; norms are ones.

    Drawn on the CPU whatever the device, so that the bits do not depend on it.
    """
    for name, parameter in model.named_parameters():
        parameter.copy_(initial_value(name, parameter.shape, model.cfg, seed))


def initial_value(name: str, shape: torch.Size, cfg: ModelConfig, seed: int) -> Tensor:
    """The first value of one parameter, by its name alone."""
    if len(shape) < 2:
        return torch.ones(shape)
    depth = math.sqrt(2 * cfg.layers)
    std = cfg.init_std / (depth if name.endswith(_RESIDUAL_OUTPUTS) else 1.0)
    generator = torch.Generator().manual_seed(draw_seed(seed, f"init:{name}"))
    return torch.empty(shape).normal_(0.0, std, generator=generator)
