"""Models whose own code is run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source

_ACTION = "leave it out and pin a reviewed copy of the model"


def _source(source: Source) -> Iterable[Finding]:
    for call in source.calls:
        given = call.keyword("trust_remote_code")
        if isinstance(given, ast.Constant) and given.value is True:
            yield RULE.finding(
                source.place(call.line),
                f"{call.last}(trust_remote_code=True)",
                _ACTION,
                symbol=call.owner,
                confidence=5,
            )


def _tree(index: Index, found: Sequence[Finding]) -> Iterable[Finding]:
    yield from found
    for file in index.tree.files:
        if file.suffix in (".yaml", ".yml") and file.size < 1_000_000:
            for number, line in index.project.lines(file, r"^\s*trust_remote_code:\s*true\b"):
                yield RULE.finding((file.path, number), line.strip(), _ACTION, confidence=5)


RULE = Rule(
    "trust-remote-code",
    "high",
    "Remote code of a model is trusted",
    "Whoever can push to the model's repository runs code on this machine.",
    source=_source,
    tree=_tree,
)
