"""What each kind of component must offer, as versions that a plugin can be held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codex_ml.errors import LoadError

#: A module of a plugin says here what it was written for: one number, or kind -> number. Absent: 1.
DECLARATION = "CODEX_ML_CONTRACT"


@dataclass(frozen=True)
class Contract:
    """A kind's contract. *wanted*: in words. *methods*: of a class; *attributes*: of an object that is none.

    A function cannot be told from outside what it will return; `codex_ml.testing` calls it.
    """

    version: int
    wanted: str
    methods: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


CONTRACTS: Mapping[str, Contract] = {
    "tokenizers": Contract(
        1,
        "a TokenizerAdapter: encode, batch_encode, decode, vocab_size, pad_id, eos_id",
        methods=("encode", "batch_encode", "decode", "vocab_size", "pad_id", "eos_id"),
    ),
    "models": Contract(1, "a torch module built as model(cfg, vocab_size=…)"),
    "metrics": Contract(1, "a function (predictions, targets) -> float"),
    "data_sources": Contract(
        1,
        "a source built as source(cfg) with origin, inputs() and documents()",
        methods=("origin", "inputs", "documents"),
    ),
    "engines": Contract(1, "a training engine"),
    "objectives": Contract(1, "a function (logits, labels) -> the summed loss"),
    "reward_models": Contract(
        1,
        "a RewardModel: evaluate, batch_evaluate, learn",
        methods=("evaluate", "batch_evaluate", "learn"),
    ),
    "rl_agents": Contract(
        1, "an RLAgent: act, update, save, load", methods=("act", "update", "save", "load")
    ),
    "trackers": Contract(
        1,
        "a tracker built as tracker(context) with write, sync and close",
        methods=("write", "sync", "close"),
    ),
    "callbacks": Contract(1, "a function that is called with a step's record"),
    "eval_tasks": Contract(1, "a function (context) -> metric name -> Measured"),
    "audit_rules": Contract(
        1, "a codex_ml.audit.rule.Rule", attributes=("id", "severity", "title", "why", "source", "tree")
    ),
    "commands": Contract(1, "a click command", attributes=("callback", "params", "help")),
    "config_groups": Contract(1, "a package that holds GROUP/OPTION.yaml files", attributes=("__path__",)),
    "safety_classifiers": Contract(1, "a function (text) -> score between 0 and 1"),
}


def lacking(kind: str, component: Any) -> str | None:
    """What *component* lacks of the contract of its kind; None when nothing can be told to be missing."""
    contract = CONTRACTS[kind]
    if contract.attributes:
        missing = [name for name in contract.attributes if not hasattr(component, name)]
        return f"has no {', '.join(missing)}" if missing else None
    if not callable(component):
        return f"is a {type(component).__name__}, which cannot be called"
    if isinstance(component, type):
        missing = [name for name in contract.methods if not hasattr(component, name)]
        return f"has no {', '.join(missing)}" if missing else None
    return None


def check_version(kind: str, declared: object, *, who: str) -> None:
    """Raise LoadError when a plugin was written for another version of the contract than this one."""
    given = declared.get(kind, 1) if isinstance(declared, Mapping) else declared
    version = CONTRACTS[kind].version
    if given != version:
        raise LoadError(
            f"{who} was written for another version of codex-ml",
            code="plugin.contract",
            got=f"contract {given} of {kind}",
            wanted=f"contract {version}: {CONTRACTS[kind].wanted}",
            next_step="install the version of the plugin that fits, or another codex-ml",
        )
