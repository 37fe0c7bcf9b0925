"""One Python file as facts: imports, calls, definitions, comments. Built by one walk of its syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from codex_ml.audit.comments import comments_of
from codex_ml.audit.names import Names, dotted

_LINE_END = re.compile(r"\r\n|\r|\n")
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


class Key(NamedTuple):
    """A key of a dictionary, written with a value of its own (*made*) or looked up."""

    name: str
    line: int
    owner: str
    made: bool


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

    *asserting*, *raising*: functions that do so.
    """

    path: str
    text: str
    tree: ast.Module
    cells: tuple[tuple[int, int], ...] = ()
    imports: list[Import] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    names: list[tuple[str, int, str]] = field(default_factory=list)
    handlers: list[tuple[ast.ExceptHandler, str]] = field(default_factory=list)
    scopes: Names = field(default_factory=Names)
    asserting: set[str] = field(default_factory=set)
    raising: set[str] = field(default_factory=set)
    main: int = 0

    @cached_property
    def lines(self) -> list[str]:
        # As Python does: a form feed ends no line.
        found = _LINE_END.split(self.text) if "\r" in self.text else self.text.split("\n")
        return found if found[-1] else found[:-1]

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
        return comments_of(self.lines, self.tree)

    def meaning(self, node: ast.AST, owner: str) -> str:
        """What the name *node* stands for in the scope *owner* (see `Names`)."""
        return self.scopes.resolve(dotted(node), owner)

    def place(self, line: int) -> tuple[str, int]:
        """Path and line to show; a line of a notebook names its cell."""
        if not self.cells or not 1 <= line <= len(self.cells):
            return self.path, line
        cell, within = self.cells[line - 1]
        return f"{self.path}#cell-{cell}", within


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


_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def leaves(node: ast.AST) -> bool:
    """Whether nothing behind this statement of its block can be reached."""
    if isinstance(node, ast.If):
        blocks = list(live_blocks(node))
        return all(block and leaves(block[-1]) for block in blocks)
    return isinstance(node, _LEAVING)


def live_blocks(node: ast.If) -> Iterator[list[ast.stmt]]:
    """The branches that can be reached: both, unless the test is a constant."""
    if not is_never(node.test):
        yield node.body
    if not (isinstance(node.test, ast.Constant) and node.test.value):
        yield node.orelse


def is_never(test: ast.expr) -> bool:
    """``False``, ``0``, ``None`` as a condition."""
    return isinstance(test, ast.Constant) and not test.value
