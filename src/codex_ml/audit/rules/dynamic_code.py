"""Text that is run as code."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source

_RUNNERS = frozenset({"eval", "exec", "builtins.eval", "builtins.exec"})


def _source(source: Source) -> Iterable[Finding]:
    if source.is_test:
        return
    for call in source.calls:
        given = call.node.args
        if call.name in _RUNNERS and given and not isinstance(given[0], ast.Constant):
            yield RULE.finding(
                source.place(call.line),
                f"{call.last} of text that is made elsewhere",
                "parse what is expected (ast.literal_eval, json), or run it in a sandbox",
                symbol=call.owner,
            )


RULE = Rule(
    "dynamic-code",
    "medium",
    "Text run as code",
    "Whoever writes the text is whoever runs the process.",
    source=_source,
)
