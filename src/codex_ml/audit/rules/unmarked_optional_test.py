"""Tests that import an optional package at the top and do not say so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.project import normal
from codex_ml.audit.rule import Rule


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    needed = {normal(one.name) for one in index.project.requirements if not one.optional}
    own = normal(str(index.project.pyproject.get("project", {}).get("name", "")))
    optional = {normal(one.name) for one in index.project.requirements if one.optional} - needed - {own}
    for facts in index.facts:
        if not facts.is_test or not facts.tests or facts.signals.get("ci.optional"):
            continue
        for module, line in sorted(facts.required.items()):
            if normal(module) in optional and module not in ("pytest", "hypothesis"):
                yield RULE.finding(
                    (facts.path, line),
                    f"{module} is optional and this test file needs it",
                    f'put pytest.importorskip("{module}") or a marker on it',
                    symbol=module,
                )


RULE = Rule(
    "unmarked-optional-test",
    "low",
    "Test of an optional package without a marker",
    "The suite fails where the package is absent instead of saying what was not run.",
    tree=_tree,
)
