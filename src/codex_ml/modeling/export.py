"""Write a Hugging Face directory that AutoModelForCausalLM and AutoTokenizer load as they are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codex_ml.config.schema import ModelConfig
from codex_ml.core.publish import write_json
from codex_ml.core.safetensors_metadata import copy_with_metadata


def llama_config(cfg: ModelConfig, *, vocab_size: int, pad_id: int, end_id: int) -> dict[str, Any]:
    """The ``config.json`` of transformers' LlamaForCausalLM for this decoder."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": end_id,
        "eos_token_id": end_id,
        "pad_token_id": pad_id,
        "head_dim": cfg.dim // cfg.heads,
        "hidden_act": "silu",
        "hidden_size": cfg.dim,
        "initializer_range": cfg.init_std,
        "intermediate_size": cfg.ffn_dim,
        "max_position_embeddings": cfg.context,
        "mlp_bias": False,
        "num_attention_heads": cfg.heads,
        "num_hidden_layers": cfg.layers,
        "num_key_value_heads": cfg.kv_heads,
        "rms_norm_eps": cfg.norm_eps,
        "rope_parameters": {"rope_theta": cfg.rope_theta, "rope_type": "default"},
        "rope_theta": cfg.rope_theta,
        "tie_word_embeddings": cfg.tie_embeddings,
        "dtype": "float32",
        "use_cache": True,
        "vocab_size": vocab_size,
    }


def write_export(
    target: Path,
    *,
    weights: Path,
    tokenizer: Path,
    cfg: ModelConfig,
    vocab_size: int,
    pad_id: int,
    end_id: int,
    facts: Mapping[str, Any],
    card: str,
    metadata: Mapping[str, str],
) -> None:
    """Fill *target* with weights, configs, tokenizer files, facts and the model card.

    *weights* is a checkpoint's model.safetensors: the names are Llama's already. *facts* become
    ``codex_ml.json``, from which the project loads the export again; *metadata* goes into the weights
    file beside the tensors, where it stays when the file is passed on alone.
    """
    copy_with_metadata(weights, target / "model.safetensors", metadata)
    write_json(target / "config.json", llama_config(cfg, vocab_size=vocab_size, pad_id=pad_id, end_id=end_id))
    write_json(
        target / "generation_config.json",
        {"bos_token_id": end_id, "eos_token_id": end_id, "pad_token_id": pad_id},
    )
    for file in sorted(tokenizer.iterdir()):
        if file.is_file() and file.name != "MANIFEST.json":
            shutil.copyfile(file, target / file.name)
    write_json(target / "codex_ml.json", dict(facts))
    (target / "README.md").write_text(card, encoding="utf-8")
