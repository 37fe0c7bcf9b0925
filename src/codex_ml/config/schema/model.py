"""Section ``model``: the shape of the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class ModelConfig:
    __pydantic_config__ = FORBID

    name: Annotated[str, key("registered model", min_length=1)]
    context: Annotated[int, key("tokens the model sees at once", ge=8, le=1 << 20)]
    layers: Annotated[int, key("transformer blocks", ge=1, le=4096)]
    dim: Annotated[int, key("width of the residual stream", ge=8, le=1 << 17)]
    heads: Annotated[int, key("query heads; divides dim", ge=1)]
    kv_heads: Annotated[int, key("key and value heads; divides heads", ge=1)]
    ffn_dim: Annotated[int, key("width of the SwiGLU feed-forward layer", ge=8, le=1 << 20)]
    rope_theta: Annotated[float, key("base of the rotary position frequencies", gt=1)]
    norm_eps: Annotated[float, key("epsilon of RMSNorm", gt=0, lt=1)]
    tie_embeddings: Annotated[bool, key("share the input embedding with the output layer")]
    dropout: Annotated[float, key("share of each block's outputs dropped in training", ge=0, lt=1)]
    init_std: Annotated[float, key("standard deviation of initial weights", gt=0, lt=1)]
