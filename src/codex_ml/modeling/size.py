"""Parameters, memory and work of a model, from its config alone; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from codex_ml.config.schema import ModelConfig


@dataclass(frozen=True)
class ModelSize:
    """Counts of one model."""

    parameters: int
    embedding_parameters: int
    flop_per_token: float

    @property
    def bytes_float32(self) -> int:
        return 4 * self.parameters


def model_size(cfg: ModelConfig, *, vocab_size: int) -> ModelSize:
    """Count weights and the forward + backward work per token.

    6 FLOP per weight of a matrix product (Kaplan et al., 2020) plus 6 x layers x context x dim for
    causal attention, where half of the scores are needed.
    """
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
    )
