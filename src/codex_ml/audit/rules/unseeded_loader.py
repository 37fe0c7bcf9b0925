"""Shuffles and splits that hang on no seed of their own."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source


def _source(source: Source) -> Iterable[Finding]:
    if source.is_test:
        return
    for call in source.calls:
        if said := _unseeded(call):
            yield RULE.finding(source.place(call.line), said[0], said[1], symbol=call.owner)


def _unseeded(call: Call) -> tuple[str, str] | None:
    """What is unseeded and what to do, or None."""
    generator = "pass generator=torch.Generator().manual_seed(seed)"
    of_dataset = call.name.startswith(("datasets.", "load_dataset()"))
    if (
        call.last == "DataLoader"
        and _shuffles(call)
        and not call.has("generator", "sampler", "batch_sampler")
    ):
        return "DataLoader(shuffle=True) without a generator", generator
    if call.last == "random_split" and call.name.startswith("torch") and not call.has("generator"):
        return "random_split without a generator", generator
    if call.name == "sklearn.model_selection.train_test_split" and not call.has("random_state"):
        return "train_test_split without random_state", "pass random_state=seed"
    if of_dataset and call.last in ("train_test_split", "shuffle") and not call.has("seed", "generator"):
        return f"{call.last} of a dataset without a seed", "pass seed=seed"
    return None


def _shuffles(call: Call) -> bool:
    given = call.keyword("shuffle")
    return isinstance(given, ast.Constant) and given.value is True


RULE = Rule(
    "unseeded-loader",
    "medium",
    "Order without a seed of its own",
    "Another draw before it changes the data.",
    source=_source,
)
