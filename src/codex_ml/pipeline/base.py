"""The pretrained weights that ``model.path`` names, and the adapter of ``model.lora.path``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from codex_ml.config.schema import RunConfig
from codex_ml.core.digest import digest_file
from codex_ml.core.paths import Home
from codex_ml.errors import ConfigError
from codex_ml.modeling.gguf_import import import_into_store
from codex_ml.modeling.pretrained_files import inspect_directory

_ADAPTER = "adapter_model.safetensors"


@dataclass(frozen=True)
class Base:
    """What a fine-tuning run starts from, by digest."""

    directory: Path
    weights_sha256: str
    adapter_sha256: str | None
    vocab_size: int

    def inputs(self) -> dict[str, str | None]:
        """Its part of the run's identity."""
        return {"base_weights": self.weights_sha256, "initial_adapter": self.adapter_sha256}


def located(config: RunConfig, *, home: Home) -> RunConfig:
    """The config with ``model.path`` as a directory: a GGUF file is unpacked into the store first."""
    path = config.model.path
    if path is None or not path.lower().endswith(".gguf"):
        return config
    directory = import_into_store(Path(path).expanduser(), home=home)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, path=str(directory)))


def find_base(config: RunConfig) -> Base | None:
    """Look at every byte of the pretrained weights; None where the model is new.

    Raises ConfigError for no such model or adapter, IntegrityError for damaged files.
    """
    if config.model.path is None:
        return None
    files = inspect_directory(Path(config.model.path).expanduser())
    return Base(
        files.directory, files.weights_sha256, _adapter_digest(config.model.lora.path), files.vocab_size
    )


def check_tokenizer(base: Base, *, entries: int) -> None:
    """Raise ConfigError when a tokenizer has more entries than the model's embedding has rows."""
    if entries > base.vocab_size:
        raise ConfigError(
            "the tokenizer has tokens that the model has no row for",
            code="model.tokenizer-size",
            got=f"{entries} tokens",
            wanted=f"at most {base.vocab_size}, the rows of the embedding",
            next_step="leave tokenizer.path to the model's own",
        )


def _adapter_digest(path: str | None) -> str | None:
    if path is None:
        return None
    file = Path(path).expanduser() / _ADAPTER
    if not file.is_file():
        raise ConfigError(
            f"model.lora.path={path} is no adapter",
            code="lora.path",
            got=f"no {_ADAPTER}",
            wanted="a directory as peft's save_pretrained writes it",
        )
    return digest_file(file)
