"""Which linear layers get an adapter: all of them, those of some names, or those a pattern matches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from codex_ml.errors import ConfigError, did_you_mean

ALL = "all-linear"
REGEX = "regex:"


@dataclass(frozen=True)
class TargetPlan:
    """What peft is given, and whether the layers keep their weight transposed (GPT-2's Conv1D)."""

    modules: str | list[str]
    transposed: bool


def linear_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Every linear layer by its full name, the output layer aside."""
    from transformers.pytorch_utils import Conv1D

    head = cast("Any", model).get_output_embeddings()
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not head
    }


def linear_names(model: nn.Module) -> list[str]:
    """The last parts of their names, each once, in the order of the model."""
    return list(dict.fromkeys(name.rpartition(".")[2] for name in linear_modules(model)))


def plan_targets(model: nn.Module, targets: str | Sequence[str] | None) -> TargetPlan:
    """Decide the layers. Raises ConfigError for a name or pattern that fits none of them."""
    words = [targets] if isinstance(targets, str) else list(targets or [ALL])
    layers = linear_modules(model)
    if ALL in words or any(word.startswith(REGEX) for word in words):
        if len(words) > 1:
            raise ConfigError(
                f"{ALL} and {REGEX} stand alone",
                code="model.lora-targets",
                got=", ".join(words),
                wanted=f"{ALL}, or names, or one {REGEX}PATTERN",
            )
        if words[0] == ALL:
            return TargetPlan(ALL, _transposed(layers, list(layers)))
        chosen = _matching(layers, words[0].removeprefix(REGEX), model)
        return TargetPlan(chosen, _transposed(layers, chosen))
    chosen = []
    for word in words:
        found = [name for name in layers if f".{name}".endswith(f".{word}")]
        if not found:
            raise _unknown(word, linear_names(model))
        chosen += found
    return TargetPlan(words, _transposed(layers, chosen))


def _matching(layers: dict[str, nn.Module], pattern: str, model: nn.Module) -> list[str]:
    """Full names rather than the pattern: peft would try it on modules that are no linear layers, too."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            "the pattern for LoRA targets does not parse",
            code="model.lora-targets",
            got=f"{pattern}: {error}",
            wanted="a regular expression that matches whole module names",
        ) from error
    chosen = [name for name in layers if expression.fullmatch(name)]
    if not chosen:
        raise _unknown(REGEX + pattern, linear_names(model))
    return chosen


def _unknown(word: str, known: list[str]) -> ConfigError:
    return ConfigError(
        f"the LoRA target '{word}' is no linear layer of this model",
        code="model.lora-targets",
        got=word,
        wanted=f"{ALL} or some of " + ", ".join(known),
        next_step=did_you_mean(word, known),
    )


def _transposed(layers: dict[str, nn.Module], chosen: list[str]) -> bool:
    return any(not isinstance(layers[name], nn.Linear) for name in chosen)
