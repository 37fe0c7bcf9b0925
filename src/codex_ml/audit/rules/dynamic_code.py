"""Text that is run as code."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source


def _source(source: Source) -> Iterable[Finding]:
    if source.is_test:
        return
    for call in source.calls:
        if (
            call.raw in ("eval", "exec")
            and call.node.args
            and not isinstance(call.node.args[0], ast.Constant)
        ):
            yield RULE.finding(
                source.place(call.line),
                f"{call.raw} of text that is made elsewhere",
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
