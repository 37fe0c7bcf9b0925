"""Directories of tiny pretrained models, and adapters that do something."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tokenizer_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_models import write_tokenizer

    directory = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    return directory


@pytest.fixture
def model_directory(tmp_path: Path, tokenizer_directory: Path) -> Callable[..., Path]:
    """``model_directory("llama", shards="40KB", dtype="bfloat16", tie_word_embeddings=True)``."""

    def make(
        family: str = "llama",
        *,
        name: str = "base",
        shards: str = "5GB",
        dtype: str = "float32",
        **changes: Any,
    ) -> Path:
        import torch

        from tiny_models import build

        directory = tmp_path / name
        model = build(family, **changes).to(getattr(torch, dtype))
        model.save_pretrained(str(directory), max_shard_size=shards)
        for file in tokenizer_directory.iterdir():
            shutil.copyfile(file, directory / file.name)
        return directory

    return make


@pytest.fixture
def trained_adapter(tmp_path: Path) -> Callable[..., Path]:
    """An adapter directory whose values are random rather than zero; it belongs to *base*."""

    def make(base: Path, *, name: str = "adapter", scale: float = 0.3, **options: Any) -> Path:
        import torch

        from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora
        from codex_ml.modeling.lora import adapter_tensors, save_adapter

        loaded = load_model_with_optional_lora(
            base, device="cpu", dtype="float32", lora_enabled=True, lora_dropout=0.0, **options
        )
        generator = torch.Generator().manual_seed(5)
        for key, value in adapter_tensors(loaded.model).items():
            if "lora_B" in key:
                value.copy_(scale * torch.randn(value.shape, generator=generator))
        save_adapter(loaded.model, tmp_path / name, loaded.weights_sha256)
        return tmp_path / name

    return make
