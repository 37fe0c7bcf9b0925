"""What code does, told by calls, definitions and names in its syntax tree, never by file names.

One table: a signal and what shows it. Capabilities and the reproducibility checklist are written in signals.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from codex_ml.audit.model import Evidence
from codex_ml.audit.source import Source
from codex_ml.audit.stubs import is_interface, is_stub

#: So many places of one signal are kept for each file; the first ones, in order.
_KEPT = 6


@dataclass(frozen=True)
class Signal:
    """One thing that code may do. Every field names another way to show it.

    *calls*: resolved dotted names, ``*`` for any part before a dot. *keywords*: (callee, keyword).
    *methods*: a class that has all of them. *bases*: a class below one of these. *functions*, *names*
    (attributes and keywords), *keys* (of dictionaries): exact names. *imports*: modules. *promises*:
    functions that show nothing by their name, but that it is stubbed when they are stubs. *arguments*:
    (callee, what the source of its first argument must match). *outside*: classes below one of these show
    nothing.
    """

    name: str
    calls: tuple[str, ...] = ()
    keywords: tuple[tuple[str, str], ...] = ()
    methods: tuple[tuple[str, ...], ...] = ()
    bases: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    promises: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    outside: tuple[str, ...] = ()


def matcher(signals: Iterable[Signal]) -> Matcher:
    return Matcher(tuple(signals))


class Matcher:
    """A table of signals, indexed by the last part of what shows them, to look at each call once."""

    def __init__(self, signals: tuple[Signal, ...]) -> None:
        self._calls: dict[str, list[tuple[re.Pattern[str], str]]] = defaultdict(list)
        self._packages: dict[str, list[tuple[re.Pattern[str], str]]] = defaultdict(list)
        self._keywords: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._arguments: dict[str, list[tuple[re.Pattern[str], str, str]]] = defaultdict(list)
        self._outside = {one.name: frozenset(one.outside) for one in signals if one.outside}
        self._methods = [(set(names), one.name) for one in signals for names in one.methods]
        self._bases = [(base, one.name) for one in signals for base in one.bases]
        self._functions, self._names, self._keys, self._imports, self._promises = (
            _index(signals, field) for field in ("functions", "names", "keys", "imports", "promises")
        )
        for one in signals:
            for pattern in one.calls:
                last = pattern.rpartition(".")[2]
                whole = "*" in last and last != pattern
                where = self._packages[pattern.partition(".")[0]] if whole else self._calls[last]
                where.append((_compiled(pattern), one.name))
            for pattern, wanted in one.arguments:
                self._arguments[pattern.rpartition(".")[2]].append((_compiled(pattern), wanted, one.name))
            for callee, keyword in one.keywords:
                self._keywords[keyword].append((callee, one.name))

    def found(self, source: Source) -> dict[str, list[Evidence]]:
        """Signal -> the first places that show it; what stands in a stub goes under ``stub:SIGNAL``."""
        stubs = {one.name for one in source.definitions if is_stub(one, source)}
        found: dict[str, list[Evidence]] = defaultdict(list)
        seen: set[tuple[str, int]] = set()
        bases = {
            one.name: {base.rpartition(".")[2] for base in one.bases}
            for one in source.definitions
            if one.bases
        }
        for name, line, symbol, note in self._all(source):
            if name in self._outside and _below(symbol, bases, self._outside[name]):
                continue
            place = f"stub:{name}" if _within(symbol, stubs) else name
            if len(found[place]) < _KEPT and (place, line) not in seen:
                seen.add((place, line))
                path, at = source.place(line)
                found[place].append(Evidence(path, at, symbol, note))
        for one in source.definitions:
            for name in self._promises.get(one.short, ()) if one.name in stubs else ():
                found[f"stub:{name}"].append(Evidence(*source.place(one.line), one.name, f"def {one.short}"))
        return {name: sorted(places) for name, places in found.items() if places}

    def _all(self, source: Source) -> Iterator[tuple[str, int, str, str]]:
        yield from self._from_calls(source)
        yield from self._from_classes(source)
        for one in source.imports:
            head = one.module.lstrip(".")
            for name in self._imports.get(head, ()) or self._imports.get(head.partition(".")[0], ()):
                yield name, one.line, one.owner, f"import {head}"
        for one_ in source.definitions:
            if not one_.is_class:
                for name in self._functions.get(one_.short, ()):
                    yield name, one_.line, one_.name, f"def {one_.short}"
        for word, line, owner in source.names:
            for name in self._names.get(word, ()):
                yield name, line, owner, word
        for key, line, owner in source.keys:
            for name in self._keys.get(key, ()):
                yield name, line, owner, f"'{key}'"

    def _from_calls(self, source: Source) -> Iterator[tuple[str, int, str, str]]:
        for call in source.calls:
            head = call.name.partition(".")[0]
            for pattern, name in (*self._calls.get(call.last, ()), *self._packages.get(head, ())):
                if pattern.search(call.name):
                    yield name, call.line, call.owner, f"{call.name}(…)"
            for pattern, wanted, name in self._arguments.get(call.last, ()):
                if pattern.search(call.name) and _first_matches(call.node, wanted):
                    yield name, call.line, call.owner, f"{call.name}(…)"
            for one in call.node.keywords:
                if one.arg is None:
                    continue
                for name in self._names.get(one.arg, ()):
                    yield name, call.line, call.owner, f"{one.arg}="
                for callee, name in self._keywords.get(one.arg, ()):
                    if callee == "*" or re.search(callee, call.name):
                        yield name, call.line, call.owner, f"{call.last}({one.arg}=…)"

    def _from_classes(self, source: Source) -> Iterator[tuple[str, int, str, str]]:
        for one in source.definitions:
            if not isinstance(one.node, ast.ClassDef) or is_interface(one.node):
                continue  # what is promised is not what is done
            methods = {
                item.name
                for item in one.node.body
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            for wanted, name in self._methods:
                if wanted <= methods:
                    yield name, one.line, one.name, f"class with {', '.join(sorted(wanted))}"
            for base, name in self._bases:
                if any(found == base or found.endswith(f".{base}") for found in one.bases):
                    yield name, one.line, one.name, f"class below {base}"
        for one in source.definitions:
            for argument in _arguments(one.node):
                for name in self._names.get(argument.arg, ()):
                    yield name, argument.lineno, one.name, f"parameter {argument.arg}"


def _arguments(node: ast.AST) -> list[ast.arg]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _within(symbol: str, stubs: set[str]) -> bool:
    return any(symbol == stub or symbol.startswith(f"{stub}.") for stub in stubs)


def _below(symbol: str, bases: Mapping[str, set[str]], wanted: frozenset[str]) -> bool:
    """Whether *symbol* is a class below one of *wanted*, or stands in one."""
    parts = symbol.split(".")
    holders = (".".join(parts[:size]) for size in range(1, len(parts) + 1))
    return any(not wanted.isdisjoint(bases.get(holder, ())) for holder in holders)


def _first_matches(node: ast.Call, wanted: str) -> bool:
    return bool(node.args) and re.search(wanted, ast.unparse(node.args[0])) is not None


def _index(signals: tuple[Signal, ...], field: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for one in signals:
        for word in getattr(one, field):
            found[word].append(one.name)
    return dict(found)


def _compiled(pattern: str) -> re.Pattern[str]:
    """``a.b`` as the end of a dotted name; ``*`` within stands for anything."""
    body = re.escape(pattern).replace(r"\*", ".*")
    return re.compile(rf"(?:^|\.){body}$")
