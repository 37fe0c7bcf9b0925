"""Programs that train or draw and set no seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    for facts in index.facts:
        starts = facts.main or (
            facts.signals.get("train.step") and not facts.is_test and _script(facts.calls)
        )
        trains = facts.signals.get("train.step") or facts.signals.get("data.order")
        if facts.is_test or not starts or not trains or facts.signals.get("repro.seed"):
            continue
        if any(not index.seeders.isdisjoint(called) for called in facts.calls.values()):
            continue
        place = facts.signals.get("train.step", facts.signals.get("data.order", []))[0]
        yield RULE.finding(
            (place.path, facts.main or place.line),
            "trains without setting a seed",
            "seed Python, NumPy and torch before anything draws",
            symbol=place.symbol,
            confidence=3,
        )


def _script(calls: dict[str, set[str]]) -> bool:
    """Whether the module itself does the work, outside of any function."""
    return bool({"backward", "train", "fit"} & calls.get("", set()))


RULE = Rule(
    "unseeded-entry", "high", "Entry point without a seed", "No run of it can be repeated.", tree=_tree
)
