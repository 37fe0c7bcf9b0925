"""MLflow on a store of files, which today's MLflow refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source

_MLRUNS = re.compile(r"^(?:file:(?://)?)?(?:\./|/)?(?:[\w./-]*/)?mlruns/?$")
_FILES = re.compile(r"^(?:file:|(?:\./)?mlruns/?$)")
#: Names that speak of the tracker, and names of any address.
_TRACKER = re.compile(r"tracking|mlflow|registry_uri", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:^|[_-])ur[il]$", re.IGNORECASE)
_CALLS = frozenset({"set_tracking_uri", "set_registry_uri", "MlflowClient"})
_DEFAULTS = frozenset({"get", "getenv", "setdefault", "pop", "add_argument", "option", "Option", "get_env"})


def _source(source: Source) -> Iterable[Finding]:
    if "mlruns" not in source.text and "file:" not in source.text:
        return
    if not any(one.module.partition(".")[0] == "mlflow" for one in source.imports) or source.is_test:
        return
    for node in stores(source):
        yield RULE.finding(
            source.place(node.lineno),
            f"tracking store {node.value!r}",
            "read the URI from the environment, with sqlite as default: sqlite:///mlflow.db",
        )


def stores(source: Source) -> list[ast.Constant]:
    """The constants that name a store of files to the tracker, in the order of the text."""
    found = {
        id(one): one
        for node in ast.walk(source.tree)
        for name, value in _named(node)
        for one in _constants(value)
        if _is_store(name, one)
    }
    return sorted(found.values(), key=lambda one: (one.lineno, one.col_offset))


def _named(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of what is assigned, given or a default here."""
    if isinstance(node, ast.Assign):
        yield from ((_name(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield _name(node.target), node.value
    elif isinstance(node, ast.arguments):
        places = [*node.posonlyargs, *node.args]
        yield from (
            (one.arg, value) for one, value in zip(reversed(places), reversed(node.defaults), strict=False)
        )
        pairs = zip(node.kwonlyargs, node.kw_defaults, strict=True)
        yield from ((one.arg, value) for one, value in pairs if value is not None)
    elif isinstance(node, ast.Dict):
        yield from ((_text(key), value) for key, value in zip(node.keys, node.values, strict=True))
    elif isinstance(node, ast.Call):
        yield from _given(node)


def _given(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    called = _name(node.func)
    yield from ((one.arg, one.value) for one in node.keywords if one.arg is not None)
    if called in _CALLS and node.args:
        yield "tracking", node.args[0]
    if called in _DEFAULTS and node.args:
        option = _text(node.args[0])
        yield from ((option, one) for one in node.args[1:])
        yield from ((option, one.value) for one in node.keywords if one.arg == "default")


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return _text(node.slice) if isinstance(node, ast.Subscript) else ""


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _constants(value: ast.expr) -> Iterator[ast.Constant]:
    """The texts that *value* may be."""
    if isinstance(value, ast.Constant):
        yield value
    elif isinstance(value, ast.BoolOp | ast.Tuple):
        parts = value.values if isinstance(value, ast.BoolOp) else value.elts
        yield from (one for one in parts if isinstance(one, ast.Constant))
    elif isinstance(value, ast.IfExp):
        yield from (one for one in (value.body, value.orelse) if isinstance(one, ast.Constant))


def _is_store(name: str, node: ast.Constant) -> bool:
    if not isinstance(node.value, str):
        return False
    if _TRACKER.search(name):
        return _FILES.match(node.value) is not None or _MLRUNS.match(node.value) is not None
    return _ADDRESS.search(name) is not None and _MLRUNS.match(node.value) is not None


RULE = Rule(
    "tracker-file-store",
    "low",
    "Tracker on a store of files",
    "MLflow asks for MLFLOW_ALLOW_FILE_STORE=true since it left that store; a default must work.",
    source=_source,
)
