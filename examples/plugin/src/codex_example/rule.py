"""A rule of the auditor: libraries log, programs print."""

from __future__ import annotations

from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source

CODEX_ML_CONTRACT = {"audit_rules": 1}


def _source(source: Source) -> Iterable[Finding]:
    if source.main or source.is_test:
        return
    for call in source.calls:
        if call.raw == "print" and call.owner:
            yield RULE.finding(
                source.place(call.line), "print in a library", "use a logger", symbol=call.owner, confidence=3
            )


RULE = Rule(
    "print-in-library",
    "info",
    "Print in a library",
    "Whoever imports it cannot turn it off or send it elsewhere.",
    source=_source,
)
