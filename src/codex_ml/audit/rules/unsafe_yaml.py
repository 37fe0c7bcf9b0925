"""YAML loaders that build more than plain values."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source

_ANY = "builds any object: tags in the text import and call what they name"
_FULL = "builds Python's own types and looks up names in modules; before PyYAML 5.4, any object"
_NONE = "has no Loader: a TypeError since PyYAML 6, any object before 5.1"
#: Loader, and function that uses it -> what it does.
_SAID = {
    **dict.fromkeys(
        ("Loader", "CLoader", "UnsafeLoader", "CUnsafeLoader", "unsafe_load", "unsafe_load_all"), _ANY
    ),
    **dict.fromkeys(("FullLoader", "CFullLoader", "full_load", "full_load_all"), _FULL),
}


def _source(source: Source) -> Iterable[Finding]:
    for call in source.calls:
        if said := unsafe_yaml(source, call):
            yield RULE.finding(
                source.place(call.line),
                f"{call.name} {said}",
                f"use yaml.{safe_function(call)}",
                symbol=call.owner,
                severity="" if said == _ANY else "medium",
            )


def unsafe_yaml(source: Source, call: Call) -> str:
    """What a call of PyYAML does with tags in its text; nothing where it is safe, or its loader unknown."""
    if not call.name.startswith("yaml."):
        return ""
    if call.name not in ("yaml.load", "yaml.load_all"):
        return _SAID.get(call.name.removeprefix("yaml."), "") if call.name.count(".") == 1 else ""
    given = loader_of(call.node)
    if given is None:
        return _NONE if call.node.args and not call.has("Loader") and not _starred(call.node) else ""
    module, _, name = source.meaning(given, call.owner).rpartition(".")
    return _SAID.get(name, "") if module in ("yaml", "yaml.loader", "yaml.cyaml") else ""


def loader_of(node: ast.Call) -> ast.expr | None:
    """The loader that is given, by name or as the second argument."""
    named = (one.value for one in node.keywords if one.arg == "Loader")
    return next(named, node.args[1] if len(node.args) > 1 and not _starred(node) else None)


def safe_function(call: Call) -> str:
    """The function of PyYAML that does the same with plain values."""
    return "safe_load_all" if call.name.endswith("_all") else "safe_load"


def _starred(node: ast.Call) -> bool:
    return any(isinstance(one, ast.Starred) for one in node.args)


RULE = Rule(
    "unsafe-yaml",
    "high",
    "Unsafe YAML",
    "Tags in a file make it import and call what they name.",
    source=_source,
)
