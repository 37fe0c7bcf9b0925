"""Build the model of ``model=pretrained`` from its directory, with the adapter of the config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from codex_ml.config.schema import ModelConfig
from codex_ml.errors import ConfigError, IntegrityError
from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora
from codex_ml.modeling.documents import register
from codex_ml.modeling.pretrained import Pretrained


@dataclass(frozen=True)
class LoadedPretrained:
    """The model, and the rows of its embedding."""

    model: Pretrained
    vocab_size: int
    weights_sha256: str


def load_pretrained(
    directory: Path,
    *,
    cfg: ModelConfig,
    device: str,
    compute_dtype: torch.dtype,
    seed: int,
    expected: str | None = None,
) -> LoadedPretrained:
    """Load the base at *directory* and the adapter of *cfg*, new (drawn from *seed*) or existing.

    A base under an adapter is frozen and kept in the compute dtype; weights that are trained
    themselves are float32. Raises as `load_model_with_optional_lora`, and ConfigError for a context
    that the model was not made for; IntegrityError when the weights are not the *expected* ones.
    """
    lora = cfg.lora
    adapter = bool(lora.r or lora.path)
    narrow = adapter and compute_dtype == torch.bfloat16
    loaded = load_model_with_optional_lora(
        directory,
        dtype="bfloat16" if narrow else "float32",
        device=device,
        lora_enabled=adapter,
        lora_path=lora.path,
        lora_r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        lora_target_modules=lora.targets,
        lora_variant=lora.variant,
        quantize=cfg.quantize,
        seed=seed,
        attention=register(),
    )
    if expected is not None and loaded.weights_sha256 != expected:
        raise IntegrityError(
            f"{directory} holds other weights than this run stands on",
            code="model.base-changed",
            got=loaded.weights_sha256[:16],
            wanted=expected[:16],
            next_step="put the model back where it was",
        )
    limit = getattr(loaded.model.config, "max_position_embeddings", None)
    if isinstance(limit, int) and cfg.context > limit:
        raise ConfigError(
            "model.context is longer than the model was made for",
            code="model.context",
            got=f"model.context={cfg.context}",
            wanted=f"at most {limit}",
        )
    model = Pretrained(loaded.model, context=cfg.context, compute_dtype=compute_dtype, adapter=adapter)
    return LoadedPretrained(model, loaded.files.vocab_size, loaded.weights_sha256)
