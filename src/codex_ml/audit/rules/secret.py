"""Something that looks like a secret, anywhere in the tree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.secrets import Secret, find_secrets
from codex_ml.audit.source import Source

_LARGEST = 2_000_000
_LEFT_OUT = frozenset({".lock", ".svg", ".map", ".py", ".ipynb"})
_TESTS = frozenset({"tests", "test", "fixtures", "testing"})


def _source(source: Source) -> Iterable[Finding]:
    """Python where it is parsed; whether the baseline knows it is settled later, by its digest."""
    for one in find_secrets(source.path, source.text):
        if finding := _told(source.path, source.place(one.line), one):
            yield finding


def _tree(index: Index, found: Sequence[Finding]) -> Iterable[Finding]:
    known = _baseline(index)
    every = list(found)
    for file in index.tree.files:
        if file.size <= _LARGEST and file.suffix not in _LEFT_OUT and file.name != ".secrets.baseline":
            secrets = find_secrets(file.path, index.project.text(file))
            told = (_told(file.path, (file.path, one.line), one) for one in secrets)
            every += [finding for finding in told if finding is not None]
    for one in every:
        if one.evidence.symbol not in known:  # nothing that follows from the value goes on
            yield replace(one, evidence=replace(one.evidence, symbol=""))


def _told(path: str, where: tuple[str, int], one: Secret) -> Finding | None:
    """The finding, its symbol the digest that baselines keep; tests may hold what only looks like it."""
    test = not _TESTS.isdisjoint(path.split("/")[:-1])
    if test and not one.certain:
        return None
    return RULE.finding(
        where,
        f"looks like a secret ({one.kind})",
        "revoke it, take it out of the history, and read it from the environment",
        symbol=hashlib.sha1(one.value.encode("utf-8", "replace"), usedforsecurity=False).hexdigest(),
        confidence=4 if one.certain and not test else 2,
        severity="low" if test else "",
    )


def _baseline(index: Index) -> set[str]:
    """SHA-1 of the values that the repository's own baseline knows."""
    known: set[str] = set()
    for file in index.tree.named(".secrets.baseline"):
        try:
            results = json.loads(index.project.text(file))["results"]
            known |= {row["hashed_secret"] for rows in results.values() for row in rows}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a broken baseline excuses nothing
    return known


RULE = Rule(
    "secret",
    "critical",
    "Secret in the tree",
    "Whoever reads the repository has it. The value itself is in no report.",
    source=_source,
    tree=_tree,
)
