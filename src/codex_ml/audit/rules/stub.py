"""Functions that promise something and do nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source
from codex_ml.audit.stubs import is_stub, owner_class


def _source(source: Source) -> Iterable[Finding]:
    for one in source.definitions:
        if reason := is_stub(one, source):
            holder = owner_class(one)
            yield RULE.finding(
                source.place(one.line),
                f"{one.name} {reason}",
                "write it, or make the class abstract if others are to",
                symbol=one.name,
                confidence=5 if not holder else 4,
            )


def _tree(index: Index, found: Sequence[Finding]) -> Iterable[Finding]:
    """What a class below defines is abstract in all but name; what an interface declares may do nothing."""
    declared = [(facts.path, methods) for facts in index.facts for methods in facts.interfaces]
    own = {
        (facts.path, name): methods for facts in index.facts for name, (_, methods) in facts.classes.items()
    }
    for one in found:
        parts = one.evidence.symbol.split(".")
        overridden = len(parts) > 1 and parts[-1] in index.classes.get(parts[-2], ())
        methods = own.get((one.evidence.path, parts[-2]), frozenset()) if len(parts) > 1 else frozenset()
        fulfils = any(
            parts[-1] in interface and interface <= methods and index.joined(path, one.evidence.path)
            for path, interface in declared
        )
        if not overridden and not (fulfils and "NotImplementedError" not in one.message):
            yield one


RULE = Rule(
    "stub",
    "high",
    "Stub",
    "Callers get an error or nothing. Abstract methods, protocols, overridden bases, declared no-ops and "
    "code within strings do not count.",
    source=_source,
    tree=_tree,
)
