"""When a definition is a stub: it promises something and does nothing.

Abstract methods, protocols, overloads, declared no-ops, fixtures and what stands in strings are none.
"""

from __future__ import annotations

import ast
import re

from codex_ml.audit.names import dotted
from codex_ml.audit.source import Definition, Function, Source, body_without_docstring

_ABSTRACT = re.compile(
    r"(^|\.)(abstract\w*|overload|override_required|abstractproperty|setter|deleter|singledispatch(method)?)(\(\))?$"
)
_DECLARATIVE = re.compile(r"(^|\.)(fixture|group|callback|hookspec|hookimpl|udf|extern|stub)(\(\))?$")
_OPEN_BASES = re.compile(r"(^|\.)(ABC|Protocol|Interface|NamedTuple|TypedDict)$")
_HOOK = re.compile(r"_?(on|before|after|pre|post)_")
_ANSWERS = (ast.Return, ast.Yield, ast.YieldFrom)
#: What an error says that means never, and not: not yet.
_REFUSAL = re.compile(
    r"\b(not supported?|unsupported|does ?n[o']t support|cannot|can ?not|can't|not (available|possible))\b",
    re.I,
)
_NOT_YET = re.compile(r"\b(yet|later|todo|not implemented|for now|coming soon)\b", re.I)
#: Methods that are what their class is for: left empty they are missing, whatever the base does.
_WORK = frozenset(
    {"forward", "training_step", "configure_optimizers", "train_dataloader", "compute_loss", "__getitem__"}
)
_NO_OP = re.compile(
    r"\b(no[- ]?op|does nothing|do nothing|nothing to|not needed|ignored?|intentionally|"
    r"placeholder for (typing|types)|to be overridden|override|overridden|subclass|hook|by default|"
    r"optional)\b",
    re.IGNORECASE,
)


def is_stub(one: Definition, source: Source) -> str:
    """Why *one* is a stub, as a phrase; empty when it is none (or when only subclasses can tell)."""
    node = one.node
    if isinstance(node, ast.ClassDef) or source.path.endswith(".pyi") or _excused(one):
        return ""
    body = body_without_docstring(node)
    for at, statement in enumerate(body):
        if _raises_not_implemented(statement) and not _refuses(statement):
            return _unless_decided(node, body[:at])
    if not _is_empty(body) or _declared_no_op(one, node, source):
        return ""
    return "has no body but a docstring" if not body else "has an empty body"


def _unless_decided(node: Function, before: list[ast.stmt]) -> str:
    """Why a function that ends in NotImplementedError is a stub; not when its arguments decide."""
    answers = [one for one in before if any(isinstance(part, _ANSWERS) for part in ast.walk(one))]
    given = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
    names = {part.id for one in answers for part in ast.walk(one) if isinstance(part, ast.Name)}
    if given & names:
        return ""
    return "ends in NotImplementedError" if answers else "raises NotImplementedError whatever it is given"


def owner_class(one: Definition) -> str:
    """The class whose method it is, or nothing."""
    return one.in_class.name if one.in_class is not None else ""


def _excused(one: Definition) -> bool:
    if any(_ABSTRACT.search(name) for name in one.decorators):
        return True
    return one.in_class is not None and is_interface(one.in_class)


def is_interface(node: ast.ClassDef) -> bool:
    """A protocol or an abstract class: its methods are for others to write."""
    bases = [dotted(base) for base in node.bases]
    metas = [dotted(word.value) for word in node.keywords]
    return any(_OPEN_BASES.search(name) or name.endswith("ABCMeta") for name in (*bases, *metas))


def _raises_not_implemented(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Raise) or statement.exc is None:
        return False
    raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    return dotted(raised).rpartition(".")[2] == "NotImplementedError"


def _refuses(statement: ast.stmt) -> bool:
    """An error whose text says that the thing is not to be had, as subclasses do that take something back."""
    values = (one.value for one in ast.walk(statement) if isinstance(one, ast.Constant))
    texts = [text for text in values if isinstance(text, str)]
    return any(map(_REFUSAL.search, texts)) and not any(map(_NOT_YET.search, texts))


def _is_empty(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(one, ast.Pass)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and one.value.value is ...)
        for one in body
    )


def _declared_no_op(one: Definition, node: Function, source: Source) -> bool:
    """An empty body that is meant: it overrides, it is a hook or a marker, or it says so."""
    if any(_DECLARATIVE.search(name) for name in one.decorators):
        return True
    if node.name in _WORK and one.in_class is not None and not source.is_test:
        return False
    if (node.name.startswith("__") and node.name.endswith("__")) or _HOOK.match(node.name):
        return True
    holder = one.in_class
    if holder is not None and (
        holder.bases or re.match(r"_?(Null|No|Fake|Dummy|Mock|Noop|NoOp|Empty)", holder.name)
    ):
        return True
    if source.is_test or "." in one.owner or (one.owner and holder is None):
        return True
    said = [ast.get_docstring(node, clean=False) or "", *_comments_within(node, source)]
    return any(map(_NO_OP.search, said))


def _comments_within(node: Function, source: Source) -> list[str]:
    last = node.end_lineno or node.lineno
    return [text for line, text in source.comments if node.lineno <= line <= last]
