"""What a name stands for in a scope: an import, what made a variable, or a parameter that hides both."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

_BUILTINS = frozenset(dir(builtins))


class Names:
    """Scopes are named by their owner, as ``Class.method``; the module is ``""``."""

    def __init__(self) -> None:
        self._scopes: dict[str, dict[str, str | None]] = {}
        self._stars: set[str] = set()

    def bind(self, scope: str, name: str, meaning: str | None) -> None:
        self._scopes.setdefault(scope, {})[name] = meaning

    def star(self, module: str) -> None:
        self._stars.add(module)

    def parameters(self, scope: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """A parameter is no import of its name."""
        args = node.args
        given = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        known = self._scopes.setdefault(scope, {})
        for one in given:
            if one is not None and one.arg not in ("self", "cls"):
                known[one.arg] = None

    def assign(self, scope: str, target: ast.expr, value: ast.expr) -> None:
        """``x = module.thing`` is another name for it, ``x = Thing()`` something made by it."""
        if not isinstance(target, ast.Name | ast.Attribute):
            return
        name = dotted(target)
        # Attributes of an object belong to its class, whichever method sets them.
        where = scope.rpartition(".")[0] if name.startswith(("self.", "cls.")) else scope
        if isinstance(value, ast.Call):
            self.bind(where, name, f"{self.resolve(dotted(value.func), scope)}()")
        elif isinstance(value, ast.Name | ast.Attribute):
            raw = dotted(value)
            if any(known.get(raw.partition(".")[0]) for known in self._chain(scope)):
                self.bind(where, name, self.resolve(raw, scope))
        else:  # an import stays what it is: `module = None` is for its absence
            self._scopes.setdefault(where, {}).setdefault(name, name)

    def resolve(self, raw: str, scope: str) -> str:
        """*raw* by the innermost scope that knows its longest beginning; as it stands when none does."""
        heads = [raw]
        while (cut := heads[-1].rpartition(".")[0]) != "":
            heads.append(cut)
        for known in self._chain(scope):
            for head in heads:
                if head not in known:
                    continue
                meaning = known[head]
                if meaning is None:
                    return raw
                if head is not raw or not meaning.endswith("()"):  # to call what was made is not to make it
                    return meaning + raw[len(head) :]
        first = heads[-1]
        if len(self._stars) == 1 and first not in _BUILTINS and first not in ("self", "cls", "?"):
            return f"{next(iter(self._stars))}.{raw}"
        return raw

    def _chain(self, scope: str) -> Iterator[dict[str, str | None]]:
        while True:
            known = self._scopes.get(scope)
            if known:
                yield known
            if not scope:
                return
            scope = scope.rpartition(".")[0]


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
