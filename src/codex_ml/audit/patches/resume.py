"""A path to resume from, given to the method that takes it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.patches.calls import change_calls, last_name, with_keyword
from codex_ml.audit.patching import Edit, rewritten
from codex_ml.audit.source import Source
from codex_ml.audit.walk import parse

_ARGUMENT = "resume_from_checkpoint"


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a file whose trainer is started without the path that was read."""
    return rewritten(
        audit,
        "resume-not-wired",
        lambda path, text, _found: wire(path, text),
        title="Wire resume in {path}",
        why="the Trainer takes resume_from_checkpoint in .train(), and nowhere else",
        risk="a checkpoint of other code is loaded where none was before, and may be refused",
        validation="stop a run, resume it from its checkpoint, compare with an uninterrupted one",
    )


def wire(path: str, text: str) -> str | None:
    """The text with ``.train(resume_from_checkpoint=…)``; None where it does not show what to pass."""
    source = parse(path, text.removeprefix("\ufeff"))
    given, lines = _given(source)
    trains = {call.line for call in source.calls if call.last == "train" and "Trainer()" in call.name}
    if given is None or not trains:
        return None

    def change(cst: Any, call: Any) -> Any:
        name = last_name(cst, call.func)
        if name == "train" and not call.args:
            return with_keyword(cst, call, _ARGUMENT, given)
        if name.endswith("Trainer"):
            kept = [one for one in call.args if one.keyword is None or one.keyword.value != _ARGUMENT]
            if len(kept) < len(call.args):
                return call.with_changes(args=_closed(call.args, kept))
        return call

    return change_calls(text, trains | lines, change)


def _closed(before: Any, kept: list[Any]) -> list[Any]:
    """The arguments that stay; the last one ends as the last one did."""
    return [*kept[:-1], kept[-1].with_changes(comma=before[-1].comma)] if kept else []


def _given(source: Source) -> tuple[str | None, set[int]]:
    """What holds the path, and the lines of constructors that take it in vain."""
    lines: set[int] = set()
    for call in source.calls:
        passed = call.keyword(_ARGUMENT)
        if passed is not None and call.last.endswith("Trainer"):
            lines.add(call.line)
            return ast.unparse(passed), lines
    for call in source.calls:
        if call.last != "add_argument":
            continue
        for one in call.node.args:
            if isinstance(one, ast.Constant) and str(one.value).startswith("--resume"):
                holder = _parsed_into(source)
                name = str(one.value).lstrip("-").replace("-", "_")
                return (f"{holder}.{name}" if holder else None), lines
    return None, lines


def _parsed_into(source: Source) -> str:
    """The variable that the parsed arguments are kept in."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Attribute) and called.attr == "parse_args":
                target = node.targets[0]
                return target.id if isinstance(target, ast.Name) else ""
    return ""
