"""YAML that builds plain values."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.model import Finding
from codex_ml.audit.patch_context import Edit, PatchContext, lines_of, rewritten
from codex_ml.audit.patches.calls import without
from codex_ml.audit.rules.unsafe_yaml import loader_of, safe_function, unsafe_yaml
from codex_ml.audit.source import Call, Source


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a file."""
    return rewritten(
        context,
        "unsafe-yaml",
        safe,
        title="Safe YAML in {path}",
        why="tags in a file make the loader import and call what they name",
        risk="a file that uses Python tags is refused",
        validation="load the project's own YAML files",
    )


def safe(code: Code, source: Source, found: list[Finding]) -> str | None:
    """The text with ``yaml.safe_load`` for the calls that were found, without their loader."""
    lines = lines_of(found)
    changes: list[Change] = []
    for call in source.calls:
        if call.line in lines and unsafe_yaml(source, call):
            changes += _safe(code, call) or []
    return code.changed(changes)


def _safe(code: Code, call: Call) -> list[Change] | None:
    """None where the function is not called on its module, or more is given than a text and a loader."""
    node = call.node
    loader = loader_of(node)
    if not isinstance(node.func, ast.Attribute) or not code.holds(node):
        return None
    kept = [one for one in node.args if one is not loader]
    named = [one for one in node.keywords if one.value is not loader]
    if len(kept) + len(named) != 1 or any(one.arg != "stream" for one in named):
        return None
    end = code.span(node.func)[1]
    renamed = Change(end - len(node.func.attr), end, safe_function(call))
    if loader is None:
        return [renamed]
    out = without(code, node, loader)
    return None if out is None else [renamed, *out]
