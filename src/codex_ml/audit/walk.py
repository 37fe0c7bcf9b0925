"""The walk over a syntax tree that makes a `Source`: names resolved, what cannot be reached left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable

from codex_ml.audit.names import dotted
from codex_ml.audit.source import (
    Call,
    Definition,
    Function,
    Import,
    Key,
    Source,
    is_never,
    leaves,
    live_blocks,
)


def parse(path: str, text: str, *, cells: tuple[tuple[int, int], ...] = ()) -> Source:
    """Parse and walk. Raises SyntaxError, ValueError (NUL bytes) or RecursionError (nested too deep)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an audited file's invalid escapes are its own
        tree = ast.parse(text)
    source = Source(path, text, tree, cells)
    _Walk(source).run()
    return source


#: What can end a block; the most are none, and are not asked.
_MAY_LEAVE = frozenset({ast.Return, ast.Raise, ast.Continue, ast.Break, ast.If})


class _Walk:
    """One pass. What variables were made by is known before calls are named."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names = source.scopes
        self.pending: list[tuple[ast.Call, str]] = []

    def run(self) -> None:
        self._body(self.source.tree, "", None, guarded=False)
        calls = self.source.calls
        for node, owner in self.pending:
            raw = dotted(node.func)
            calls.append(Call(self.names.resolve(raw, owner), raw, node.lineno, owner, node))

    def _body(self, node: ast.AST, owner: str, inside: ast.ClassDef | None, *, guarded: bool) -> None:
        for name in node._fields:
            value = getattr(node, name, None)
            if type(value) is list:
                for item in value:
                    if isinstance(item, ast.AST):
                        self._visit(item, owner, inside, guarded)
                        if type(item) in _MAY_LEAVE and leaves(item):
                            break
            elif isinstance(value, ast.AST):
                self._visit(value, owner, inside, guarded)

    def _block(self, nodes: Iterable[object], owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        for node in nodes:
            if isinstance(node, ast.AST):
                self._visit(node, owner, inside, guarded)
                if type(node) in _MAY_LEAVE and leaves(node):
                    return

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
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop") and node.args:
            self._key(node.args[0], owner, made=False)
        self._body(node, owner, inside, guarded=guarded)

    def _define(self, node: Function, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        name = f"{owner}.{node.name}" if owner else node.name
        decorators = tuple(dotted(one) for one in node.decorator_list)
        self.source.definitions.append(
            Definition(name, node.lineno, owner, node, (), decorators, in_class=inside)
        )
        self.names.parameters(name, node)
        self.names.bind(owner, node.name, node.name)
        self._body(node, name, None, guarded=guarded)

    def _class(self, node: ast.ClassDef, owner: str, _inside: ast.ClassDef | None, guarded: bool) -> None:
        name = f"{owner}.{node.name}" if owner else node.name
        bases = tuple(self.names.resolve(dotted(base), owner) for base in node.bases)
        decorators = tuple(dotted(one) for one in node.decorator_list)
        self.source.definitions.append(Definition(name, node.lineno, owner, node, bases, decorators))
        self.names.bind(owner, node.name, node.name)
        self._body(node, name, node, guarded=guarded)

    def _import(self, node: ast.Import, owner: str, _inside: ast.ClassDef | None, guarded: bool) -> None:
        for one in node.names:
            head = one.name.partition(".")[0]
            self.names.bind(owner, one.asname or head, one.name if one.asname else head)
            self.source.imports.append(Import(one.name, "", node.lineno, owner, guarded, node))

    def _from(self, node: ast.ImportFrom, owner: str, _inside: ast.ClassDef | None, guarded: bool) -> None:
        module = "." * node.level + (node.module or "")
        for one in node.names:
            if one.name == "*":
                self.names.star(module)
            self.names.bind(owner, one.asname or one.name, f"{module}.{one.name}" if module else one.name)
            self.source.imports.append(Import(module, one.name, node.lineno, owner, guarded, node))

    def _try(self, node: ast.Try, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        catches = any(_catches_missing(one) for one in node.handlers)
        self._block(node.body, owner, inside, guarded or catches)
        for one in node.handlers:
            self.source.handlers.append((one, owner))
            self._body(one, owner, inside, guarded=guarded)
        for block in (node.orelse, node.finalbody):
            self._block(block, owner, inside, guarded)

    def _assign(self, node: ast.Assign, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        for target in node.targets:
            self.names.assign(owner, target, node.value)
        self._body(node, owner, inside, guarded=guarded)

    def _annotated(self, node: ast.AnnAssign, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        if node.value is not None:
            self.names.assign(owner, node.target, node.value)
        self._body(node, owner, inside, guarded=guarded)

    def _attribute(self, node: ast.Attribute, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        self.source.names.append((node.attr, node.lineno, owner))
        self._visit(node.value, owner, inside, guarded)

    def _dict(self, node: ast.Dict, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(value, ast.Constant):  # a setting, not a state
                self._key(key, owner, made=True)
        self._body(node, owner, inside, guarded=guarded)

    def _subscript(self, node: ast.Subscript, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        self._key(node.slice, owner, made=isinstance(node.ctx, ast.Store))
        self._body(node, owner, inside, guarded=guarded)

    def _key(self, node: ast.expr | None, owner: str, *, made: bool) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.source.keys.append(Key(node.value, node.lineno, owner, made))

    def _assert(self, node: ast.Assert, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        self.source.asserting.add(owner)
        self._body(node, owner, inside, guarded=guarded)

    def _raise(self, node: ast.Raise, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        self.source.raising.add(owner)
        self._body(node, owner, inside, guarded=guarded)

    def _if(self, node: ast.If, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        if not owner and _is_main(node.test):
            self.source.main = node.lineno
        asked = _asks_for_a_package(node.test)
        self._visit(node.test, owner, inside, guarded)
        for block in live_blocks(node):
            self._block(block, owner, inside, guarded or asked)

    def _while(self, node: ast.While, owner: str, inside: ast.ClassDef | None, guarded: bool) -> None:
        if is_never(node.test):
            self._block(node.orelse, owner, inside, guarded)
        else:
            self._body(node, owner, inside, guarded=guarded)


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
    ast.While: _Walk._while,
    ast.Assert: _Walk._assert,
    ast.Raise: _Walk._raise,
}


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
