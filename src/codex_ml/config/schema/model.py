"""Section ``model``: the shape of the network, or the pretrained weights that bring theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class LoraConfig:
    __pydantic_config__ = FORBID

    r: Annotated[int, key("rank of the adapter; 0: none, all weights are trained", ge=0, le=1 << 14)]
    alpha: Annotated[float, key("the adapter's output is scaled by alpha/r (rslora: alpha/sqrt(r))", gt=0)]
    dropout: Annotated[float, key("share of the adapter's inputs dropped in training", ge=0, lt=1)]
    variant: Annotated[Literal["lora", "rslora", "dora"], key("which kind of adapter")]
    targets: Annotated[
        tuple[str, ...],
        key("modules that get one: all-linear, names, or one regex:PATTERN", min_length=1),
    ]
    path: Annotated[
        str | None, key("existing adapter to go on from (peft's format); null: a new one", role="operational")
    ]


@dataclass(frozen=True)
class ModelConfig:
    __pydantic_config__ = FORBID

    name: Annotated[str, key("registered model", min_length=1)]
    path: Annotated[
        str | None,
        key("directory or GGUF file of pretrained weights; null: a new model", role="operational"),
    ]
    lora: LoraConfig
    quantize: Annotated[Literal["none", "nf4"], key("nf4: frozen weights in 4 bits (CUDA, bitsandbytes)")]
    context: Annotated[int, key("tokens the model sees at once", ge=8, le=1 << 20)]
    # The shape of a new model. With model.path each of these is 0: the weights bring their own.
    layers: Annotated[int, key("transformer blocks", ge=0, le=4096)]
    dim: Annotated[int, key("width of the residual stream", ge=0, le=1 << 17)]
    heads: Annotated[int, key("query heads; divides dim", ge=0)]
    kv_heads: Annotated[int, key("key and value heads; divides heads", ge=0)]
    ffn_dim: Annotated[int, key("width of the SwiGLU feed-forward layer", ge=0, le=1 << 20)]
    rope_theta: Annotated[float, key("base of the rotary position frequencies", ge=0)]
    norm_eps: Annotated[float, key("epsilon of RMSNorm", ge=0, lt=1)]
    tie_embeddings: Annotated[bool, key("share the input embedding with the output layer")]
    dropout: Annotated[float, key("share of each block's outputs dropped in training", ge=0, lt=1)]
    init_std: Annotated[float, key("standard deviation of initial weights", ge=0, lt=1)]
