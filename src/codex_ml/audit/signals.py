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
    *arguments*: (how the last name of the callee begins, what the source of an argument matches). *methods*:
    a class or module that has all of them. *bases*: a class below one of these. *functions*, *names*
    (attributes and keywords), *made* and *read* (keys of dictionaries): exact names. *imports*: modules.
    *raising*: how the name of a function begins that refuses something. *promises*: functions that show
    nothing by their name, but that it is stubbed when they are stubs.

    *outside*: classes below one of these show nothing. *linked*: what it shows counts in one program (files
    that imports join) with a place of one of these signals. *unless*: nothing in a file where one of these
    options is declined.
    """

    name: str
    calls: tuple[str, ...] = ()
    keywords: tuple[tuple[str, str], ...] = ()
    methods: tuple[tuple[str, ...], ...] = ()
    bases: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    promises: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    outside: tuple[str, ...] = ()
    raising: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name, and the conditions on its places: `parted` takes them apart."""
        conditions = "|".join((*self.linked, *(f"-{name}" for name in self.unless)))
        return f"{self.name}@{conditions}" if conditions else self.name


def parted(key: str) -> tuple[str, list[str], list[str]]:
    """The name of a signal, what its places are linked to, and the options that must not be declined."""
    name, _, conditions = key.partition("@")
    found = conditions.split("|") if conditions else []
    return name, [one for one in found if one[0] != "-"], [one[1:] for one in found if one[0] == "-"]


def matcher(signals: Iterable[Signal]) -> Matcher:
    return Matcher(tuple(signals))


class Matcher:
    """A table of signals, indexed by the last part of what shows them, to look at each call once."""

    def __init__(self, signals: tuple[Signal, ...]) -> None:
        self._calls: dict[str, list[tuple[re.Pattern[str], str]]] = defaultdict(list)
        self._packages: dict[str, list[tuple[re.Pattern[str], str]]] = defaultdict(list)
        self._keywords: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._arguments = [(*pair, one.key) for one in signals for pair in one.arguments]
        self._argued = re.compile("|".join(sorted({callee for callee, _, _ in self._arguments})) or r"(?!)")
        self._raising = [(pattern, one.key) for one in signals for pattern in one.raising]
        self._outside = {one.key: frozenset(one.outside) for one in signals if one.outside}
        self._methods = [(set(names), one.key) for one in signals for names in one.methods]
        self._bases = [(base, one.key) for one in signals for base in one.bases]
        self._functions, self._names, self._made, self._read, self._imports, self._promises = (
            _index(signals, field) for field in ("functions", "names", "made", "read", "imports", "promises")
        )
        for one in signals:
            for pattern in one.calls:
                last = pattern.rpartition(".")[2]
                whole = "*" in last and last != pattern
                where = self._packages[pattern.partition(".")[0]] if whole else self._calls[last]
                where.append((_compiled(pattern), one.key))
            for callee, keyword in one.keywords:
                self._keywords[keyword].append((callee, one.key))

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
        declined = {
            one.arg for call in source.calls for one in call.node.keywords if one.arg and _declines(one.value)
        }
        for name, line, symbol, note in self._all(source):
            if declined and not declined.isdisjoint(parted(name)[2]):
                continue
            if name in self._outside and _below(symbol, bases, self._outside[name]):
                continue
            place = f"stub:{parted(name)[0]}" if _within(symbol, stubs) else name
            if len(found[place]) < _KEPT and (place, line) not in seen:
                seen.add((place, line))
                path, at = source.place(line)
                found[place].append(Evidence(path, at, symbol, note))
        for one in source.definitions:
            for name in self._promises.get(one.short, ()) if one.name in stubs else ():
                found[f"stub:{name}"].append(Evidence(*source.place(one.line), one.name, f"def {one.short}"))
        return {name: sorted(places) for name, places in found.items() if places}

    def by_call(self, name: str, raw: str = "") -> Iterator[str]:
        """The signals that a call shows, by its resolved name or as it is written."""
        head, last = name.partition(".")[0], name.rpartition(".")[2]
        for pattern, signal in (*self._calls.get(last, ()), *self._packages.get(head, ())):
            # `trainer.fit` of a trainer that something unknown made is known by its own name alone.
            if pattern.search(name) or ("()" in name and pattern.search(raw)):
                yield signal

    def by_option(self, name: str) -> Iterator[str]:
        """The signals that an option of a trainer shows, wherever it is given."""
        yield from self._names.get(name, ())
        for callee, signal in self._keywords.get(name, ()):
            if "Train" in callee or "train" in callee or "fit" in callee:
                yield signal

    def _all(self, source: Source) -> Iterator[tuple[str, int, str, str]]:
        yield from self._from_calls(source)
        yield from self._from_classes(source)
        for one in source.imports:
            head = one.module.lstrip(".")
            for name in self._imports.get(head, ()) or self._imports.get(head.partition(".")[0], ()):
                yield name, one.line, one.owner, f"import {head}"
        yield from self._from_functions(source)
        for word, line, owner in source.names:
            for name in self._names.get(word, ()):
                yield name, line, owner, word
        for key in source.keys:
            for name in (self._made if key.made else self._read).get(key.name, ()):
                yield name, key.line, key.owner, f"'{key.name}'"

    def _from_functions(self, source: Source) -> Iterator[tuple[str, int, str, str]]:
        for one in source.definitions:
            if one.is_class:
                continue
            for name in self._functions.get(one.short, ()):
                yield name, one.line, one.name, f"def {one.short}"
            for pattern, name in self._raising if one.name in source.raising else ():
                if re.match(pattern, one.short):
                    yield name, one.line, one.name, f"{one.short} refuses"

    def _from_calls(self, source: Source) -> Iterator[tuple[str, int, str, str]]:
        for call in source.calls:
            for name in self.by_call(call.name, call.raw):
                yield name, call.line, call.owner, f"{call.name}(…)"
            for callee, wanted, name in self._arguments if self._argued.match(call.last) else ():
                if re.match(callee, call.last) and _given(call.node, wanted):
                    yield name, call.line, call.owner, f"{call.name}(…)"
            for one in call.node.keywords:
                if one.arg is None or _declines(one.value):
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
        functions = {one.name: one.line for one in source.definitions if not one.owner and not one.is_class}
        for wanted, name in self._methods:
            if wanted <= functions.keys():
                first = min(wanted)
                yield name, functions[first], first, f"module with {', '.join(sorted(wanted))}"
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


_OFF = frozenset({"none", "no", "off", "never", "disabled", "false", ""})


def _declines(value: ast.expr) -> bool:
    """``save_strategy="no"``, ``report_to=[]``: an option that is not taken."""
    if isinstance(value, ast.List | ast.Tuple):
        return all(map(_declines, value.elts))
    if not isinstance(value, ast.Constant):
        return False
    given = value.value
    return given is None or given is False or (isinstance(given, str) and given.lower() in _OFF)


def _given(node: ast.Call, wanted: str) -> bool:
    values = (*node.args, *(one.value for one in node.keywords))
    return any(re.search(wanted, ast.unparse(one)) for one in values)


def _index(signals: tuple[Signal, ...], field: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for one in signals:
        for word in getattr(one, field):
            found[word].append(one.key)
    return dict(found)


def _compiled(pattern: str) -> re.Pattern[str]:
    """``a.b`` as the end of a dotted name; ``*`` within stands for anything."""
    body = re.escape(pattern).replace(r"\*", ".*")
    return re.compile(rf"(?:^|\.){body}$")
