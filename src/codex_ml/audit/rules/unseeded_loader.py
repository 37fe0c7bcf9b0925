"""Shuffles and splits that hang on no seed of their own."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source

_SAMPLERS = frozenset({"RandomSampler", "SubsetRandomSampler", "WeightedRandomSampler"})


@dataclass(frozen=True)
class Unseeded:
    """What is unseeded, and the *option* that seeds it."""

    said: str
    option: str

    @property
    def action(self) -> str:
        value = "torch.Generator().manual_seed(seed)" if self.option == "generator" else "seed"
        return f"pass {self.option}={value}"


def _source(source: Source) -> Iterable[Finding]:
    if source.is_test:
        return
    for call in source.calls:
        if found := unseeded(call):
            yield RULE.finding(source.place(call.line), found.said, found.action, symbol=call.owner)


def unseeded(call: Call) -> Unseeded | None:
    """What a call draws without a seed of its own, or None."""
    of_torch, of_dataset = (
        call.name.startswith("torch."),
        call.name.startswith(("datasets.", "load_dataset()")),
    )
    if call.last == "DataLoader" and _shuffles(call):
        seeded = call.has("generator", "sampler", "batch_sampler")
        return None if seeded else Unseeded("DataLoader(shuffle=True) without a generator", "generator")
    if of_torch and (call.last == "random_split" or call.last in _SAMPLERS):
        # The generator is the last parameter: whoever gives them all by place gives it, too.
        places = {"SubsetRandomSampler": 2, "random_split": 3}.get(call.last, 4)
        given = call.has("generator") or len(call.node.args) >= places
        return None if given else Unseeded(f"{call.last} without a generator", "generator")
    if call.name == "sklearn.model_selection.train_test_split" and not call.has("random_state"):
        off = _constant(call.keyword("shuffle")) is False
        return None if off else Unseeded("train_test_split without random_state", "random_state")
    if of_dataset and call.last in ("train_test_split", "shuffle") and not call.has("seed", "generator"):
        off = _constant(call.keyword("shuffle")) is False
        return None if off else Unseeded(f"{call.last} of a dataset without a seed", "seed")
    return None


def _shuffles(call: Call) -> bool:
    places = call.node.args
    given = call.keyword("shuffle") or (places[2] if len(places) > 2 else None)
    return _constant(given) is True


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


RULE = Rule(
    "unseeded-loader",
    "medium",
    "Order without a seed of its own",
    "Another draw before it changes the data.",
    source=_source,
)
