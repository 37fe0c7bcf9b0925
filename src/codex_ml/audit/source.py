"""One Python file as facts: imports, calls, definitions, comments. Built by one walk of its syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """``import module`` or ``from module import name``. *guarded*: its absence is caught."""

    module: str
    name: str
    line: int
    owner: str
    guarded: bool
    node: ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Call:
    """A call. *name* is dotted and resolved: imports by their module, variables by what made them."""

    name: str
    raw: str
    line: int
    owner: str
    node: ast.Call

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]

    def keyword(self, name: str) -> ast.expr | None:
        for one in self.node.keywords:
            if one.arg == name:
                return one.value
        return None

    def has(self, *names: str) -> bool:
        """Whether one of the keywords is given, or any may be (``**options``)."""
        return any(one.arg is None or one.arg in names for one in self.node.keywords)


@dataclass(frozen=True)
class Definition:
    """A function or class; *owner* is the name of the class or function that holds it."""

    name: str
    line: int
    owner: str
    node: Function | ast.ClassDef
    bases: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    in_class: ast.ClassDef | None = None

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)


@dataclass
class Source:
    """A parsed file. *cells*: for a notebook, the (cell, line) of each line of *text*.

    *failing*: functions that assert or raise.
    """

    path: str
    text: str
    tree: ast.Module
    cells: tuple[tuple[int, int], ...] = ()
    imports: list[Import] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    keys: list[tuple[str, int, str]] = field(default_factory=list)
    names: list[tuple[str, int, str]] = field(default_factory=list)
    handlers: list[tuple[ast.ExceptHandler, str]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    main: int = 0

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def is_test(self) -> bool:
        name = self.path.rpartition("/")[2]
        return name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"

    @cached_property
    def parents(self) -> dict[str, ast.ClassDef]:
        return {one.name: one.node for one in self.definitions if isinstance(one.node, ast.ClassDef)}

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """(line, text) of real comments; a ``#`` inside a string is none."""
        if "#" not in self.text:
            return []
        inside = self._string_lines()
        found = []
        for number, line in enumerate(self.lines, start=1):
            at = line.find("#")
            while at >= 0 and any(start <= (number, at) < stop for start, stop in inside.get(number, ())):
                at = line.find("#", at + 1)
            if at >= 0:
                found.append((number, line[at:]))
        return found

    def _string_lines(self) -> dict[int, list[tuple[tuple[int, int], tuple[int, int]]]]:
        """Line -> the spans of strings on it; columns in characters of that line."""
        found: dict[int, list[tuple[tuple[int, int], tuple[int, int]]]] = {}
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.JoinedStr | ast.Constant):
                continue
            if isinstance(node, ast.Constant) and not isinstance(node.value, str | bytes):
                continue
            stop = (node.end_lineno or node.lineno, self._column(node.end_lineno, node.end_col_offset))
            start = (node.lineno, self._column(node.lineno, node.col_offset))
            for number in range(start[0], stop[0] + 1):
                found.setdefault(number, []).append((start, stop))
        return found

    def _column(self, number: int | None, offset: int | None) -> int:
        """A column counted in UTF-8 bytes, in characters."""
        line = self.lines[(number or 1) - 1] if (number or 1) <= len(self.lines) else ""
        return len(line.encode("utf-8", "surrogatepass")[: offset or 0].decode("utf-8", "ignore"))

    def place(self, line: int) -> tuple[str, int]:
        """Path and line to show; a line of a notebook names its cell."""
        if not self.cells or not 1 <= line <= len(self.cells):
            return self.path, line
        cell, within = self.cells[line - 1]
        return f"{self.path}#cell-{cell}", within


def parse(path: str, text: str, *, cells: tuple[tuple[int, int], ...] = ()) -> Source:
    """Parse and walk. Raises SyntaxError, ValueError (NUL bytes) or RecursionError (nested too deep)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an audited file's invalid escapes are its own
        tree = ast.parse(text)
    source = Source(path, text, tree, cells)
    _Walk(source).run()
    return source


class _Walk:
    """One pass. What variables were made by is known before calls are named."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.aliases: dict[str, str] = {}
        self.made: dict[str, str] = {}
        self.pending: list[tuple[ast.Call, str]] = []

    def run(self) -> None:
        self._body(self.source.tree, "", None, guarded=False)
        calls = self.source.calls
        for node, owner in self.pending:
            raw = dotted(node.func)
            calls.append(Call(self.resolve(raw), raw, node.lineno, owner, node))

    def resolve(self, raw: str) -> str:
        """By imports first, then by the call that made the variable (the longest known beginning)."""
        head, dot, rest = raw.partition(".")
        if head in self.aliases:
            return f"{self.aliases[head]}{dot}{rest}"
        parts = raw.split(".")
        for size in range(len(parts) - 1, 0, -1):
            made = self.made.get(".".join(parts[:size]))
            if made is not None:
                return ".".join([made, *parts[size:]])
        return raw

    def _body(self, node: ast.AST, owner: str, inside: ast.ClassDef | None, *, guarded: bool) -> None:
        for name in node._fields:
            value = getattr(node, name, None)
            if type(value) is list:
                for item in value:
                    if isinstance(item, ast.AST):
                        self._visit(item, owner, inside, guarded)
            elif isinstance(value, ast.AST):
                self._visit(value, owner, inside, guarded)

    def _visit(self, node: ast.AST, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        kind = type(node)
        if kind is ast.Name or kind is ast.Constant:
            return
        handler = _HANDLERS.get(kind)
        if handler is None:
            self._body(node, owner, inside, guarded=guarded)
        else:
            handler(self, node, owner, inside, guarded)

    def _call(self, node: ast.Call, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        self.pending.append((node, owner))
        self._body(node, owner, inside, guarded=guarded)

    def _define(self, node: Function, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        name = f"{owner}.{node.name}" if owner else node.name
        decorators = tuple(dotted(one) for one in node.decorator_list)
        self.source.definitions.append(
            Definition(name, node.lineno, owner, node, (), decorators, in_class=inside)
        )
        self._body(node, name, None, guarded=guarded)

    def _class(self, node: ast.ClassDef, owner: str, _inside: ast.ClassDef | None, guarded: bool) -> None:
        name = f"{owner}.{node.name}" if owner else node.name
        bases = tuple(self.resolve(dotted(base)) for base in node.bases)
        decorators = tuple(dotted(one) for one in node.decorator_list)
        self.source.definitions.append(Definition(name, node.lineno, owner, node, bases, decorators))
        self._body(node, name, node, guarded=guarded)

    def _import(self, node: ast.Import, owner: str, _inside: ast.ClassDef | None, guarded: bool) -> None:
        for one in node.names:
            head = one.name.partition(".")[0]
            self.aliases[one.asname or head] = one.name if one.asname else head
            self.source.imports.append(Import(one.name, "", node.lineno, owner, guarded, node))

    def _from(self, node: ast.ImportFrom, owner: str, _inside: ast.ClassDef | None, guarded: bool) -> None:
        module = "." * node.level + (node.module or "")
        for one in node.names:
            self.aliases[one.asname or one.name] = f"{module}.{one.name}" if module else one.name
            self.source.imports.append(Import(module, one.name, node.lineno, owner, guarded, node))

    def _try(self, node: ast.Try, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        catches = any(_catches_missing(one) for one in node.handlers)
        for item in node.body:
            self._visit(item, owner, inside, guarded or catches)
        for one in node.handlers:
            self.source.handlers.append((one, owner))
            self._body(one, owner, inside, guarded=guarded)
        for item in [*node.orelse, *node.finalbody]:
            self._visit(item, owner, inside, guarded)

    def _assign(self, node: ast.Assign, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        if isinstance(node.value, ast.Call):
            for target in node.targets:
                if isinstance(target, ast.Name | ast.Attribute):
                    self._made(dotted(target), node.value)
        self._body(node, owner, inside, guarded=guarded)

    def _made(self, target: str, value: ast.Call) -> None:
        self.made[target] = f"{self.resolve(dotted(value.func))}()"

    def _annotated(self, node: ast.AnnAssign, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        if isinstance(node.value, ast.Call) and isinstance(node.target, ast.Name | ast.Attribute):
            self._made(dotted(node.target), node.value)
        self._body(node, owner, inside, guarded=guarded)

    def _attribute(self, node: ast.Attribute, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        self.source.names.append((node.attr, node.lineno, owner))
        self._visit(node.value, owner, inside, guarded)

    def _dict(self, node: ast.Dict, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        for key in node.keys:
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                self.source.keys.append((key.value, key.lineno, owner))
        self._body(node, owner, inside, guarded=guarded)

    def _subscript(self, node: ast.Subscript, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            self.source.keys.append((key.value, key.lineno, owner))
        self._body(node, owner, inside, guarded=guarded)

    def _fail(self, node: ast.AST, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        self.source.failing.add(owner)
        self._body(node, owner, inside, guarded=guarded)

    def _if(self, node: ast.If, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        if not owner and _is_main(node.test):
            self.source.main = node.lineno
        asked = _asks_for_a_package(node.test)
        for item in node.body:
            self._visit(item, owner, inside, guarded or asked)
        self._visit(node.test, owner, inside, guarded)
        for item in node.orelse:
            self._visit(item, owner, inside, guarded or asked)


_HANDLERS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Call: _Walk._call,
    ast.FunctionDef: _Walk._define,
    ast.AsyncFunctionDef: _Walk._define,
    ast.ClassDef: _Walk._class,
    ast.Import: _Walk._import,
    ast.ImportFrom: _Walk._from,
    ast.Try: _Walk._try,
    ast.Assign: _Walk._assign,
    ast.AnnAssign: _Walk._annotated,
    ast.Attribute: _Walk._attribute,
    ast.Dict: _Walk._dict,
    ast.Subscript: _Walk._subscript,
    ast.If: _Walk._if,
    ast.Assert: _Walk._fail,
    ast.Raise: _Walk._fail,
}


def dotted(node: ast.AST) -> str:
    """``a.b().c`` as text; ``?`` for what has no name."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            inner = dotted(node.func)
            parts.append(f"{inner}()")
            break
        elif isinstance(node, ast.Name):
            parts.append(node.id)
            break
        elif isinstance(node, ast.Subscript):
            node = node.value
        else:
            parts.append("?")
            break
    return ".".join(reversed(parts))


def body_without_docstring(node: Function) -> list[ast.stmt]:
    body = node.body
    first = body[0]
    has = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if has and isinstance(first.value.value, str) else body  # type: ignore[attr-defined]


def functions(source: Source) -> Iterator[tuple[Definition, Function]]:
    """Definitions that are functions or methods, with their nodes."""
    for one in source.definitions:
        if isinstance(one.node, _FUNCTIONS):
            yield one, one.node


_MISSING = re.compile(r"\b(ImportError|ModuleNotFoundError|Exception|BaseException)$")


def _catches_missing(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(_MISSING.search(dotted(kind)) for kind in kinds)


_ASKED = re.compile(
    r"(^|_|\.)(available|find_spec|installed|TYPE_CHECKING)(\(\))?$|^_?has_|^_?HAS_", re.IGNORECASE
)


def _asks_for_a_package(test: ast.expr) -> bool:
    """``if is_wandb_available():``, ``if TYPE_CHECKING:``: what is imported below need not be there."""
    names = (one for one in ast.walk(test) if isinstance(one, ast.Name | ast.Attribute))
    return any(_ASKED.search(dotted(one)) for one in names)


def _is_main(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and any(isinstance(one, ast.Constant) and one.value == "__main__" for one in test.comparators)
    )
