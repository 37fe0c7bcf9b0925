"""A path to resume from, given to the method that takes it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.model import Finding
from codex_ml.audit.patch_context import Edit, PatchContext, rewritten
from codex_ml.audit.patches.calls import with_keyword, without
from codex_ml.audit.rules.resume_not_wired import ARGUMENT, is_trainer, own_trainers, resume_option, starts
from codex_ml.audit.source import Call, Source

_PARSES = frozenset({"parse_args", "parse_known_args", "parse_intermixed_args"})


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a file whose trainer is started without the path that was read."""
    return rewritten(
        context,
        "resume-not-wired",
        wire,
        title="Wire resume in {path}",
        why="the Trainer takes resume_from_checkpoint in .train(), and nowhere else",
        risk="a checkpoint of other code is loaded where none was before, and may be refused",
        validation="stop a run, resume it from its checkpoint, compare with an uninterrupted one",
    )


def wire(code: Code, source: Source, _found: list[Finding]) -> str | None:
    """The text with ``.train(resume_from_checkpoint=…)``; None where what to pass is not known there."""
    own = own_trainers(source)
    started = [call for call in source.calls if starts(source, call, own)]
    if not started or any(call.node.args or call.node.keywords for call in started):
        return None
    makers = [call for call in source.calls if is_trainer(call.name, frozenset()) and call.keyword(ARGUMENT)]
    given = _passed(code, makers, started) if makers else _option(source, started)
    changes: list[Change] = []
    for call in makers:
        taken = without(code, call.node, call.keyword(ARGUMENT) or call.node)
        if taken is None:
            return None
        changes += taken
    for call in started:
        put = with_keyword(code, call.node, ARGUMENT, given) if given else None
        if put is None:
            return None
        changes += put
    return code.changed(changes)


def _passed(code: Code, makers: list[Call], started: list[Call]) -> str:
    """What one constructor was given, where every trainer is started in the same function."""
    value = makers[0].keyword(ARGUMENT)
    if len(makers) != 1 or value is None or not code.holds(value):
        return ""
    if any(call.owner != makers[0].owner or call.line < makers[0].line for call in started):
        return ""
    start, end = code.span(value)
    text = code.text[start:end]
    return text if "\n" not in text and "\r" not in text else ""


def _option(source: Source, started: list[Call]) -> str:
    """``args.NAME`` where the parsed arguments are known to every function that starts a trainer."""
    names = {name for call in source.calls if (name := resume_option(call))}
    holders = list(_holders(source))
    if len(names) != 1 or len(holders) != 1:
        return ""
    owner, name, line, conditional = holders[0]
    for call in started:
        inside = call.owner == owner and line < call.line
        above = owner == "" != call.owner and not conditional and not _binds(source, call.owner, name)
        if not (inside or above):
            return ""
    return f"{name}.{names.pop()}"


def _holders(source: Source) -> Iterator[tuple[str, str, int, bool]]:
    """(function, variable, line, whether the main block alone makes it) of parsed arguments."""
    owners = {id(call.node): call.owner for call in source.calls}
    main = next((one for one in source.tree.body if one.lineno == source.main), None)
    within = {id(one) for one in ast.walk(main)} if main is not None else set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.targets) == 1:
            target, called = node.targets[0], node.value.func
            if isinstance(target, ast.Tuple) and target.elts:
                target = target.elts[0]  # of parse_known_args
            parses = isinstance(called, ast.Attribute) and called.attr in _PARSES
            if parses and isinstance(target, ast.Name) and id(node.value) in owners:
                yield owners[id(node.value)], target.id, node.lineno, id(node) in within


def _binds(source: Source, owner: str, name: str) -> bool:
    """Whether a function, or one that it stands in, has a variable of this name."""
    for one in source.definitions:
        if owner == one.name or owner.startswith(f"{one.name}."):
            for node in ast.walk(one.node):
                stored = isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)
                if stored or (isinstance(node, ast.arg) and node.arg == name):
                    return True
    return False
