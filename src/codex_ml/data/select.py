"""The dataset that a config asks for: packed documents, or rows of samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from codex_ml.config.schema import RunConfig
from codex_ml.core.paths import Home
from codex_ml.data.prepare import DatasetRef, prepare_dataset
from codex_ml.data.sft.prepare import SamplesRef, prepare_samples
from codex_ml.errors import ConfigError
from codex_ml.interfaces.progress import Progress
from codex_ml.tokenization.store import keep_given


def prepare_for(
    config: RunConfig, *, home: Home, progress: Progress | None = None
) -> DatasetRef | SamplesRef:
    """Found in the store, or built. Raises as `prepare_dataset` and `prepare_samples` do."""
    context = config.model.context
    if config.data.format == "text":
        tokenizer_cfg = config.tokenizer
        if config.model.path is not None:  # its embedding knows the tokens of one tokenizer only
            tokenizer_cfg = replace(tokenizer_cfg, path=tokenizer_path(config), vocab_size=0)
        return prepare_dataset(
            config.data, tokenizer_cfg=tokenizer_cfg, context=context, home=home, progress=progress
        )
    given = replace(config.tokenizer, path=tokenizer_path(config))
    tokenizer = keep_given(given, home=home)
    return prepare_samples(config.data, tokenizer=tokenizer, context=context, home=home, progress=progress)


def tokenizer_path(config: RunConfig) -> str:
    """Where the tokenizer of a model that exists lies: ``tokenizer.path``, else ``model.path``.

    Raises ConfigError where neither gives one.
    """
    if config.tokenizer.path is not None:
        return config.tokenizer.path
    path = config.model.path
    if path is None or Path(path).expanduser().is_file():
        raise ConfigError(
            "samples need the tokenizer of a model that exists",
            code="config.samples-tokenizer",
            got=f"tokenizer.path=null model.path={'null' if path is None else path}",
            wanted="a directory with a tokenizer.json",
            next_step="add tokenizer.path=DIR, or model.path=DIR of a Hugging Face model",
        )
    return path
