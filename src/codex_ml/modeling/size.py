"""Parameters, memory and work of a model, from its config alone; no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from codex_ml.config.schema import ModelConfig
from codex_ml.modeling.pretrained_files import inspect_directory


@dataclass(frozen=True)
class ModelSize:
    """Counts of one model."""

    parameters: int
    embedding_parameters: int
    flop_per_token: float
    trained: int
    vocab: int
    layers: int
    dim: int
    ffn_dim: int

    @property
    def bytes_float32(self) -> int:
        return 4 * self.parameters


def model_size(cfg: ModelConfig, *, vocab_size: int) -> ModelSize:
    """Count weights and the forward + backward work per token.

    6 FLOP per weight of a matrix product (Kaplan et al., 2020) plus 6 x layers x context x dim for
    causal attention, where half of the scores are needed.
    """
    if cfg.path is not None:
        return _pretrained_size(cfg)
    kv_dim = cfg.dim * cfg.kv_heads // cfg.heads
    attention = 2 * cfg.dim * cfg.dim + 2 * cfg.dim * kv_dim
    block = attention + 3 * cfg.dim * cfg.ffn_dim + 2 * cfg.dim
    embedding = vocab_size * cfg.dim
    tables = embedding if cfg.tie_embeddings else 2 * embedding
    matrices = cfg.layers * (attention + 3 * cfg.dim * cfg.ffn_dim) + embedding
    return ModelSize(
        parameters=cfg.layers * block + tables + cfg.dim,
        embedding_parameters=tables,
        flop_per_token=6.0 * (matrices + cfg.layers * cfg.context * cfg.dim),
        trained=cfg.layers * block + tables + cfg.dim,
        vocab=vocab_size,
        layers=cfg.layers,
        dim=cfg.dim,
        ffn_dim=cfg.ffn_dim,
    )


def _pretrained_size(cfg: ModelConfig) -> ModelSize:
    """Weights as they lie on the disk; a frozen one costs no gradient of its own, 4 FLOP and not 6.

    An adapter is counted as if every matrix of the layers had one.
    """
    assert cfg.path is not None
    files = inspect_directory(Path(cfg.path).expanduser())
    text = files.config.get("text_config") or files.config
    inner = [row.shape for name, row in files.tensors.items() if len(row.shape) == 2 and "layers." in name]
    adapter = cfg.lora.r * sum(sum(shape) for shape in inner)
    tables = files.parameters - sum(math.prod(shape) for shape in inner)
    frozen = bool(cfg.lora.r or cfg.lora.path)
    dim = int(text.get("hidden_size") or text.get("n_embd") or 0)
    return ModelSize(
        parameters=files.parameters,
        embedding_parameters=tables,
        flop_per_token=(4.0 if frozen else 6.0) * files.parameters,
        trained=adapter if frozen else files.parameters,
        vocab=files.vocab_size,
        layers=int(text.get("num_hidden_layers") or text.get("n_layer") or 0),
        dim=dim,
        ffn_dim=int(text.get("intermediate_size") or 4 * dim),
    )
