"""What several packages' tests start from: a composed config, a tiny decoder, a prepared dataset."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from codex_ml.config.schema import RunConfig
    from codex_ml.data.prepare import DatasetRef

#: Of the dataset below, and of every model that reads it.
CONTEXT, VOCABULARY = 32, 300


@pytest.fixture(scope="session")
def config_of() -> Callable[..., RunConfig]:
    """The tiny experiment with further words, whatever the environment."""
    from codex_ml.config.compose import compose

    @cache  # composing takes a tenth of a second; a config cannot be changed
    def build(*words: str) -> RunConfig:
        return compose(["experiment=tiny", *words], environ={}).config

    return build


@pytest.fixture(scope="session")
def decoder_of(config_of: Callable[..., RunConfig]) -> Callable[..., Any]:
    """A seeded float32 decoder: ``decoder_of("model.layers=3", vocab=61, seed=1)``."""
    import torch

    from codex_ml.modeling.decoder import Decoder
    from codex_ml.modeling.init import initialise

    torch.set_num_threads(1)  # models this small only wait for a second thread

    def build(*words: str, vocab: int = VOCABULARY, seed: int = 0) -> Decoder:
        cfg = config_of(f"model.context={CONTEXT}", *words).model
        model = Decoder(cfg, vocab_size=vocab, compute_dtype=torch.float32)
        initialise(model, seed=seed)
        return model

    return build


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    """A small real dataset: 12 packages, split into train and validation."""
    from codex_ml.core.paths import Home
    from codex_ml.data.prepare import prepare_dataset
    from corpora import data_config, tokenizer_config, write_packages

    root: Path = tmp_path_factory.mktemp("prepared")
    return prepare_dataset(
        data_config("files", write_packages(root / "source")),
        tokenizer_cfg=tokenizer_config(VOCABULARY),
        context=CONTEXT,
        home=Home(root),
    )
