"""Low-rank adapters: attach a new or an existing one, name its tensors, save it, merge it.

LoRA: Hu et al., 2021; rsLoRA: Kalajdzievski, 2023; DoRA: Liu et al., 2024. The layers are peft's.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from codex_ml.core.draws import draw_seed
from codex_ml.core.optional import require
from codex_ml.core.publish import read_json, write_json
from codex_ml.core.safetensors import read_header
from codex_ml.errors import ConfigError, TrainingError, UsageError
from codex_ml.modeling.lora_targets import plan_targets

CONFIG, WEIGHTS, FACTS = "adapter_config.json", "adapter_model.safetensors", "codex_ml.json"
BASE = "base_weights_sha256"
_NAME = "default"


def attach_adapter(
    model: nn.Module,
    *,
    r: int = 8,
    alpha: float = 16,
    dropout: float = 0.05,
    targets: str | Sequence[str] | None = None,
    variant: str = "lora",
    seed: int = 0,
) -> nn.Module:
    """Wrap *model* with a new adapter, float32, whose first values depend on *seed* alone.

    The base is frozen and changed in place. Raises ConfigError for targets that name no linear layer.
    """
    peft = require("peft", extra="train")
    plan = plan_targets(model, targets)
    if variant not in ("lora", "rslora", "dora"):
        raise ConfigError(
            "no such kind of adapter", code="model.lora-variant", got=variant, wanted="lora, rslora or dora"
        )
    config = peft.LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=plan.modules,
        fan_in_fan_out=plan.transposed,
        use_rslora=variant == "rslora",
        use_dora=variant == "dora",
        task_type="CAUSAL_LM",
    )
    # peft draws on the CPU whatever the device, so that generator alone is seeded and then put back.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft asks transformers by a name that is on its way out.
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*is_gradient_checkpointing.*")
        torch.default_generator.manual_seed(draw_seed(seed, "lora.init"))
        return cast("nn.Module", peft.get_peft_model(model, config))


def load_adapter(
    model: nn.Module, directory: Path, *, base_sha256: str | None, trainable: bool = True
) -> nn.Module:
    """Wrap *model* with the adapter in *directory*; every tensor of it is checked to have landed.

    Raises UsageError for what is no LoRA adapter or belongs to another base.
    """
    peft = require("peft", extra="train")
    config, table = check_adapter(directory, base_sha256=base_sha256)
    config.inference_mode = not trainable
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*is_gradient_checkpointing.*")
        try:
            wrapped = peft.get_peft_model(model, config)
        except ValueError as error:  # its target modules are not in this model
            raise _other_base(directory, str(error)) from error
        except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise _bad_settings(directory, f"{type(error).__name__}: {error}") from error
    own = adapter_tensors(wrapped)
    _compare_tables(directory, own, table)
    from safetensors.torch import load_file

    load_adapter_tensors(wrapped, load_file(str(directory / WEIGHTS)))
    return cast("nn.Module", wrapped)


def check_adapter(directory: Path, *, base_sha256: str | None) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """What can be said of an adapter before its base is loaded: its settings and its tensors' shapes.

    Raises UsageError for what is no LoRA adapter, has settings that peft cannot take or was made for a
    base of another digest; IntegrityError for damaged weights.
    """
    _require_adapter(directory)
    recorded = read_facts(directory).get(BASE)
    if recorded is not None and base_sha256 is not None and recorded != base_sha256:
        raise _other_base(directory, f"made for weights {str(recorded)[:12]}, these are {base_sha256[:12]}")
    content = read_json(directory / CONFIG)
    for name in ("r", "lora_alpha"):
        value = content.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise _bad_settings(directory, f"{name}={value!r}")
    try:
        config = require("peft", extra="train").PeftConfig.from_pretrained(str(directory))
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise _bad_settings(directory, f"{type(error).__name__}: {error}") from error
    table, _ = read_header(directory / WEIGHTS)
    return config, {name: tuple(row["shape"]) for name, row in table.items()}


def _bad_settings(directory: Path, got: str) -> UsageError:
    return UsageError(
        f"{directory / CONFIG} has settings that make no adapter",
        code="model.adapter-config",
        got=got,
        wanted="the settings as peft's save_pretrained writes them",
        next_step="restore the file from where the adapter came from",
    )


def _require_adapter(directory: Path) -> None:
    missing = [name for name in (CONFIG, WEIGHTS) if not (directory / name).is_file()]
    if missing:
        raise UsageError(
            f"there is no adapter in {directory}",
            code="model.adapter-path",
            got="no " + " and no ".join(missing),
            wanted=f"peft's format: {CONFIG} and {WEIGHTS}",
            next_step="give the directory that save_pretrained or `codex-ml model export` wrote",
        )
    content = read_json(directory / CONFIG)
    kind = content.get("peft_type") if isinstance(content, dict) else None
    if kind != "LORA":
        raise UsageError(
            f"{directory} holds an adapter of another kind",
            code="model.adapter-kind",
            got=kind,
            wanted="LORA",
        )


def _compare_tables(
    directory: Path, own: Mapping[str, Tensor], stored: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise unless both have the same names and shapes: peft itself skips what it cannot place."""
    for name in sorted(set(own) & set(stored)):
        if tuple(own[name].shape) != stored[name]:
            raise _other_base(
                directory, f"{name} has shape {list(stored[name])}, this model wants {list(own[name].shape)}"
            )
    odd = sorted(set(own) ^ set(stored))
    if odd:
        where = "is not in the file" if odd[0] in own else "has no place in this model"
        raise UsageError(
            f"the adapter {directory} does not fit this model",
            code="model.adapter-tensors",
            got=f"{odd[0]} {where} ({len(odd)} such tensors)",
            wanted="the tensors of its own adapter_config.json on the base it was trained on",
            next_step="give the base model that adapter_config.json names",
        )


def _other_base(directory: Path, got: str) -> UsageError:
    return UsageError(
        f"the adapter {directory} belongs to another base model",
        code="model.adapter-base",
        got=got,
        next_step="give the base it was trained on",
    )


def read_facts(directory: Path) -> dict[str, Any]:
    """What we wrote beside peft's files, empty for an adapter of others."""
    path = directory / FACTS
    content = read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def adapter_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The adapter's tensors under the names that peft saves, sharing memory with *model*."""
    peft = require("peft", extra="train")
    found = peft.get_peft_model_state_dict(model, adapter_name=_NAME, save_embedding_layers=False)
    return {name: found[name] for name in sorted(found)}


@torch.no_grad()
def load_adapter_tensors(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put *tensors* into the adapter. Raises UsageError when names or shapes are not its own."""
    own = adapter_tensors(model)
    _compare_tables(Path("state"), own, {name: tuple(value.shape) for name, value in tensors.items()})
    for name, value in tensors.items():
        own[name].copy_(value)
    _clear_caches(model)


def _clear_caches(model: nn.Module) -> None:
    """DoRA remembers norms outside of training; they are of the values before."""
    for module in model.modules():
        clear = getattr(module, "_cache_clear", None)
        if callable(clear):
            clear()


def save_adapter(model: nn.Module, directory: Path, base_sha256: str) -> None:
    """Fill *directory* in peft's format, with the digest of the base beside."""
    from safetensors.torch import save_file

    config = cast("Any", model).peft_config[_NAME].to_dict()
    config |= {"inference_mode": True, "base_model_name_or_path": None}
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / CONFIG, {name: _plain(value) for name, value in config.items()})
    tensors = {name: value.contiguous().cpu() for name, value in adapter_tensors(model).items()}
    save_file(tensors, str(directory / WEIGHTS), metadata={"format": "pt"})
    write_json(directory / FACTS, {BASE: base_sha256})


def _plain(value: Any) -> Any:
    """JSON for one setting; a set has no order of its own."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value.value) if hasattr(value, "value") else value


@torch.no_grad()
def merge(model: nn.Module, *, in_place: bool = False) -> nn.Module:
    """The plain model with the adapter inside its weights, computed in float32, in the base's dtype.

    Works on a copy unless *in_place*. Raises TrainingError when a merged weight is not finite.
    """
    wrapped = cast("Any", model if in_place else copy.deepcopy(model))
    _clear_caches(wrapped)
    for name, layer in _adapted(wrapped):
        base = layer.get_base_layer()
        if not base.weight.is_floating_point():
            raise ConfigError(
                "an adapter is not merged into quantised weights",
                code="model.merge-quantised",
                got=name,
                next_step="load the base with quantize=none, then merge",
            )
        dtype = base.weight.dtype
        # peft rounds the difference to the base's dtype before it adds it; in float32 it is rounded once.
        base.weight.data = base.weight.data.float()
        try:
            layer.merge(safe_merge=True)
        except ValueError as error:
            raise TrainingError(
                f"merging makes a weight that is not finite: {name}",
                code="model.merge-nan",
                got=str(error),
                next_step="the adapter is broken: take an earlier checkpoint",
            ) from error
        base.weight.data = base.weight.data.to(dtype)
    plain = wrapped.unload()
    for parameter in plain.parameters():
        parameter.requires_grad_(True)
    return cast("nn.Module", plain)


def _adapted(model: nn.Module) -> Iterator[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            yield name, module
