"""The pretrained weights that ``model.path`` names, and the adapter of ``model.lora.path``."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from codex_ml.config.schema import RunConfig
from codex_ml.core.digest import digest_file, digest_json
from codex_ml.core.paths import Home
from codex_ml.core.publish import read_json
from codex_ml.core.store import find_or_build
from codex_ml.errors import ConfigError
from codex_ml.modeling.codex_model_loader import locate
from codex_ml.modeling.lora import check_adapter
from codex_ml.modeling.pretrained_files import inspect_directory

#: What an adapter is; the last of them is ours, and absent in adapters of others.
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "codex_ml.json")
#: Libraries whose code computes a fine-tuning step, beside torch.
_COMPUTING = {"native": ("transformers", "peft"), "hf": ("transformers", "peft", "accelerate")}


@dataclass(frozen=True)
class Base:
    """What a fine-tuning run starts from, by digest."""

    directory: Path
    weights_sha256: str
    config_sha256: str
    adapter_sha256: str | None
    vocab_size: int

    def inputs(self, *, engine: str) -> dict[str, str | None]:
        """Its part of the run's identity, with the libraries that compute it."""
        return {
            "base_weights": self.weights_sha256,
            "base_config": self.config_sha256,
            "initial_adapter": self.adapter_sha256,
            "libraries": ", ".join(f"{name} {metadata.version(name)}" for name in _COMPUTING[engine]),
        }


def located(config: RunConfig, *, home: Home) -> RunConfig:
    """The config with ``model.path`` as an absolute directory, and an adapter kept in the store.

    A run is used from other directories than the one it was started in. A GGUF file is unpacked into the
    store first. An adapter is copied: its directory may be an export that is written again, and checkpoints
    hold tensors alone. Raises as `locate`, and ConfigError or UsageError for what is no adapter.
    """
    model = config.model
    if model.path is None:
        return config
    directory = locate(Path(model.path).expanduser(), home=home).absolute()
    lora = model.lora
    if lora.path is not None:
        lora = dataclasses.replace(lora, path=str(_keep_adapter(lora.path, base=directory, home=home)))
    return dataclasses.replace(config, model=dataclasses.replace(model, path=str(directory), lora=lora))


def _keep_adapter(typed: str, *, base: Path, home: Home) -> Path:
    """The copy of the adapter; what is wrong with it is said here, by the name that was typed."""
    source = Path(typed).expanduser()
    files = [name for name in _ADAPTER if (source / name).is_file()]
    if set(_ADAPTER[:2]) - set(files):
        raise ConfigError(
            f"model.lora.path={source} is no adapter",
            code="lora.path",
            got="; ".join(f"no {name}" for name in _ADAPTER[:2] if name not in files),
            wanted="a directory as peft's save_pretrained writes it",
        )
    check_adapter(source, base_sha256=inspect_directory(base).weights_sha256)
    meta: dict[str, Any] = {"kind": "adapter", "parts": {name: digest_file(source / name) for name in files}}
    digest = digest_json(meta)
    directory = (home.store / "adapters" / digest).absolute()

    def build(stage: Path, _meta: dict[str, Any]) -> None:
        for name in files:
            shutil.copyfile(source / name, stage / name)

    find_or_build(directory, build=build, meta={**meta, "digest": digest})
    return directory


def find_base(config: RunConfig) -> Base | None:
    """Look at every byte of the pretrained weights; None where the model is new.

    Raises UsageError for no such model, IntegrityError for damaged files.
    """
    if config.model.path is None:
        return None
    files = inspect_directory(Path(config.model.path).expanduser())
    kept = config.model.lora.path
    return Base(
        directory=files.directory,
        weights_sha256=files.weights_sha256,
        config_sha256=digest_json(files.config),
        adapter_sha256=None if kept is None else str(read_json(Path(kept) / "MANIFEST.json")["digest"]),
        vocab_size=files.vocab_size,
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
