"""Tests that cannot fail by what they claim."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    for facts, test in index.tests():
        if test.skipped or test.asserts or not index.asserting.isdisjoint(test.calls):
            continue
        said = "has an empty body" if test.empty else "runs code and asserts nothing"
        where = facts.path, test.line
        yield RULE.finding(
            where, f"{test.name} {said}", "assert what its name claims", symbol=test.name, confidence=4
        )


RULE = Rule(
    "empty-test",
    "medium",
    "Test without an assertion",
    "It is green whatever the code does. Helpers of the repository that assert or raise count as assertions.",
    tree=_tree,
)
