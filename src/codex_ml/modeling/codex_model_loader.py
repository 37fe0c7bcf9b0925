"""Load pretrained weights as they are on the disk, with an adapter or without, or say exactly why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from codex_ml.core.optional import require
from codex_ml.core.paths import Home
from codex_ml.core.paths import home as default_home
from codex_ml.errors import ConfigError, IntegrityError, UsageError
from codex_ml.modeling.device import DTYPES, choose_device, choose_dtype
from codex_ml.modeling.golden import GOLDEN, check_golden
from codex_ml.modeling.lora import attach_adapter, load_adapter
from codex_ml.modeling.pretrained_files import CONFIG, PretrainedFiles, inspect_directory

_GENERATION = "generation_config.json"
#: What building a model raises for numbers that make no model.
_CONFIG_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Loaded:
    """A model, where and in which dtype it stands and why, and what it was made of."""

    model: nn.Module
    device: str
    dtype: str
    reasons: dict[str, str]
    weights_sha256: str
    files: PretrainedFiles


def load_model_with_optional_lora(
    name_or_path: str | Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    lora_enabled: bool = False,
    lora_path: str | Path | None = None,
    lora_r: int = 8,
    lora_alpha: float = 16,
    lora_dropout: float = 0.05,
    lora_target_modules: str | Sequence[str] | None = None,
    lora_variant: str = "lora",
    quantize: str = "none",
    seed: int = 0,
    attention: str = "sdpa",
    trainable: bool = True,
    home: Home | None = None,
) -> Loaded:
    """Load a Hugging Face directory, a run, its export or a GGUF file; what is asked is checked first.

    With *lora_path* the adapter there goes on and its own settings count; with *lora_enabled* a new one
    is made from *seed*. Either way the base is frozen. A loaded adapter alone is float32. Nothing is
    fetched and no code of the directory runs.
    """
    place, device_reason = choose_device(device)
    kind, dtype_reason = choose_dtype(dtype, place)
    reasons = {"device": device_reason, "dtype": dtype_reason}
    quantization = _quantization(quantize, place, kind)
    files = inspect_directory(locate(name_or_path, home=home))
    if (files.directory / GOLDEN).is_file():
        check_golden(files.directory)
    model = read_weights(files, dtype=kind, device=place, attention=attention, quantization=quantization)
    if lora_path is not None:
        directory = Path(lora_path)
        model = load_adapter(model, directory, base_sha256=files.weights_sha256, trainable=trainable)
        reasons["adapter"] = f"goes on from {directory}; its own settings count"
    elif lora_enabled:
        model = attach_adapter(
            model,
            r=lora_r,
            alpha=lora_alpha,
            dropout=lora_dropout,
            targets=lora_target_modules,
            variant=lora_variant,
            seed=seed,
        )
        reasons["adapter"] = f"new {lora_variant} of rank {lora_r}, first values from seed {seed}"
    if not trainable:
        model.requires_grad_(False)
    model.train(trainable)
    return Loaded(model, place, kind, reasons, files.weights_sha256, files)


def locate(name_or_path: str | Path, *, home: Home | None = None) -> Path:
    """The directory of weights that is meant; a GGUF file is imported into the store first."""
    path = Path(name_or_path)
    if path.suffix == ".gguf":
        from codex_ml.modeling.gguf_import import import_into_store

        return import_into_store(path, home=home or default_home())
    if (path / "run.json").is_file() and not (path / CONFIG).is_file():
        if not (path / "export").is_dir():
            raise UsageError(
                f"the run {path} has no export",
                code="model.no-export",
                wanted=f"{path / 'export'}",
                next_step="run its pipeline to the end: `codex-ml pipeline run` with the same config",
            )
        return path / "export"
    return path


def read_weights(
    files: PretrainedFiles,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    attention: str = "sdpa",
    quantization: Any = None,
) -> nn.Module:
    """The plain model of *files*. Raises IntegrityError when a weight is missing, left over or misshapen."""
    transformers = require("transformers", extra="train")
    _hush(transformers)
    config, model_class = _architecture(files)
    options: dict[str, Any] = {"dtype": DTYPES[dtype], "attn_implementation": attention}
    options["ignore_mismatched_sizes"] = True  # so that they are reported with the others, and refused
    if device != "cpu":
        options["device_map"] = {"": device}
    if quantization is not None:
        options["quantization_config"] = quantization
    # Missing weights are drawn at random before they are reported; no generator may move for that.
    with torch.random.fork_rng(devices=[]):
        try:
            model, report = model_class.from_pretrained(
                None, config=config, state_dict=_slices(files), output_loading_info=True, **options
            )
        except _CONFIG_ERRORS as error:
            raise _bad_shape(files, error) from error
        except RuntimeError as error:
            raise _misfit(files, " ".join(str(error).split())[:600]) from error
    _check_report(files, report)
    if (files.directory / _GENERATION).is_file():
        model.generation_config = transformers.GenerationConfig.from_pretrained(
            str(files.directory), local_files_only=True
        )
    model.config._name_or_path = str(files.directory)
    return cast("nn.Module", model)


def empty_model(files: PretrainedFiles) -> Any:
    """The model of *files* without any weight in memory. Raises UsageError as `read_weights` does."""
    require("transformers", extra="train")
    config, model_class = _architecture(files)
    try:
        with torch.device("meta"):
            return model_class._from_config(config)
    except _CONFIG_ERRORS as error:
        raise _bad_shape(files, error) from error


def _hush(transformers: Any) -> None:
    """No bars and no advice: what matters is in our own errors and facts."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def _slices(files: PretrainedFiles) -> dict[str, Any]:
    """Every tensor, not read yet.

    Read with pread into memory of their own: mapped files would count twice while a dtype changes, and a
    model that is a view of a file changes with the file.
    """
    from safetensors import safe_open

    found: dict[str, Any] = {}
    for shard in files.shards:
        handle: Any = safe_open(str(shard), framework="pt", device="cpu", backend="pread")
        found |= {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118 - no mapping
    return found


def _architecture(files: PretrainedFiles) -> tuple[Any, Any]:
    """The config of *files* and the class of transformers that it is for."""
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    kind = files.config["model_type"]
    if kind in CONFIG_MAPPING and CONFIG_MAPPING[kind] in MODEL_FOR_CAUSAL_LM_MAPPING:
        try:
            config = AutoConfig.from_pretrained(
                str(files.directory), local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # huggingface_hub has validation errors of no common kind
            raise _bad_shape(files, error) from error
        return config, MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    raise UsageError(
        f"{files.directory} is no causal language model that transformers knows",
        code="model.family",
        got=kind,
        wanted="a model type with a causal language model in transformers",
        next_step="give a model that writes text, or install a newer transformers",
    )


def _bad_shape(files: PretrainedFiles, error: Exception) -> UsageError:
    return UsageError(
        f"{files.directory / CONFIG} does not describe a model",
        code="model.config",
        got=" ".join(f"{type(error).__name__}: {error}".split())[:400],
        wanted=f"a config that transformers can build {files.family} from",
        next_step="restore config.json from where the model came from",
    )


def _check_report(files: PretrainedFiles, report: dict[str, Any]) -> None:
    odd = [
        f"{len(names)} {kind}: {', '.join(names[:5])}"
        for kind, field in (
            ("missing", "missing_keys"),
            ("left over", "unexpected_keys"),
            ("misshapen", "mismatched_keys"),
        )
        if (names := sorted(str(one[0] if isinstance(one, tuple) else one) for one in report[field]))
    ]
    if odd:
        raise _misfit(files, "; ".join(odd))


def _misfit(files: PretrainedFiles, got: str) -> IntegrityError:
    return IntegrityError(
        f"the weights of {files.directory} are not those of its config",
        code="model.misfit",
        got=got,
        wanted=f"every weight of {files.family}, each once",
        next_step="fetch config.json and weights of one and the same model",
    )


def _quantization(quantize: str, device: str, dtype: str) -> Any:
    """What makes transformers keep weights in 4 bits. Raises ConfigError where that cannot work."""
    if quantize == "none":
        return None
    if quantize != "nf4" or not device.startswith("cuda"):
        raise ConfigError(
            f"model.quantize={quantize} does not work on {device}",
            code="model.quantize",
            wanted="none, or nf4 on a CUDA device with the package bitsandbytes",
            next_step="use model.quantize=none",
        )
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise ConfigError(
            "model.quantize=nf4 needs the package bitsandbytes, which is not installed",
            code="model.quantize",
            next_step="pip install bitsandbytes, or use model.quantize=none",
        )
    transformers = require("transformers", extra="train")
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=DTYPES[dtype]
    )
