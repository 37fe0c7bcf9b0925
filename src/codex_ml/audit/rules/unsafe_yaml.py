"""YAML loaders that build any object."""

from __future__ import annotations

from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source, dotted


def _source(source: Source) -> Iterable[Finding]:
    for call in source.calls:
        if call.name in ("yaml.unsafe_load", "yaml.full_load") or (
            call.name == "yaml.load" and not _safe(call)
        ):
            yield RULE.finding(
                source.place(call.line),
                f"{call.name} builds any object",
                "use yaml.safe_load",
                symbol=call.owner,
            )


def _safe(call: Call) -> bool:
    given = call.keyword("Loader") or (call.node.args[1] if len(call.node.args) > 1 else None)
    return given is not None and "Safe" in dotted(given)


RULE = Rule(
    "unsafe-yaml",
    "high",
    "Unsafe YAML",
    "Tags in a file make it import and call what they name.",
    source=_source,
)
