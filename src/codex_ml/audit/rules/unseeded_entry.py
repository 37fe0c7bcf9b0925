"""Programs that train and set no seed."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from codex_ml.audit.facts import FileFacts
from codex_ml.audit.import_graph import modules_of
from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source, functions

_SIGNAL = "repro.seed"
#: How far a seed is followed through functions that call functions.
_HOPS = 3
#: Of the notes that `_source` leaves for `_tree`.
_UNUSED = "never named in its file"


def _source(source: Source) -> Iterable[Finding]:
    """Functions that their own file never names: a seed that they set may be set by nobody."""
    if "seed" not in source.text or source.is_test:
        return
    named = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    named |= {word for word, _line, _owner in source.names}
    for one, node in functions(source):
        if one.short not in named and not one.decorators and one.in_class is None:
            yield RULE.finding((source.path, node.lineno), _UNUSED, "", symbol=one.name)


def _tree(index: Index, found: Sequence[Finding]) -> Iterable[Finding]:
    files = [facts for facts in index.facts if not facts.is_test]
    seeders = _Seeders(index, files, {(one.evidence.path, _way(one.evidence.symbol)) for one in found})
    for facts in files:
        trains = facts.signals.get("train.step")
        if not trains or not (facts.main or _script(facts.calls)) or seeders.set_one(facts):
            continue
        place = trains[0]
        yield RULE.finding(
            (place.path, facts.main or place.line),
            "trains without setting a seed",
            "seed Python, NumPy and torch before anything draws",
            symbol=place.symbol,
            confidence=3,
        )


class _Seeders:
    """Functions that set a seed, themselves or through what they call, and the files they stand in.

    *unused*: (file, function) that its own file never names.
    """

    def __init__(self, index: Index, files: Sequence[FileFacts], unused: set[tuple[str, str]]) -> None:
        self._index = index
        self._unused = unused
        self._paths: dict[str, set[str]] = defaultdict(set)
        names = {name for _path, name in unused}
        calls = [called for facts in files for called in facts.calls.values()]
        #: Of the unused ones, those that another file may call.
        self._called = {name for called in calls for name in called & names}
        for facts in files:
            for place in facts.signals.get(_SIGNAL, ()):
                self._paths[_way(place.symbol)].add(facts.path)
        for _ in range(_HOPS):
            for name, path in [pair for facts in files for pair in self._callers(facts)]:
                self._paths[name].add(path)
        self._paths.pop("", None)

    def set_one(self, facts: FileFacts) -> bool:
        """Whether the file sets a seed in what is used of it, or calls what does."""
        symbols = (_way(place.symbol) for place in facts.signals.get(_SIGNAL, ()))
        used = any((facts.path, name) not in self._unused or name in self._called for name in symbols)
        own = _own(facts)
        return used or any(self._reached(facts, called, own) for called in facts.calls.values())

    def _callers(self, facts: FileFacts) -> Iterator[tuple[str, str]]:
        own = _own(facts)
        for owner, called in facts.calls.items():
            if owner and self._reached(facts, called, own):
                yield _way(owner), facts.path

    def _reached(self, facts: FileFacts, called: set[str], own: set[str]) -> bool:
        """Whether one of *called* sets a seed: a function of the file, else of one that it goes with."""
        for name in called & self._paths.keys():
            paths = self._paths[name]
            if name in own:
                if facts.path in paths:
                    return True
            elif any(self._index.joined(facts.path, path) or _imports(facts, path) for path in paths):
                return True
        return False


def _way(symbol: str) -> str:
    """The name by which a function is called: that of its class for ``__init__``."""
    parts = [part for part in symbol.split(".") if not part.startswith("__")]
    return parts[-1] if parts else ""


def _own(facts: FileFacts) -> set[str]:
    """What the file itself defines, as far as it calls something."""
    return {part for owner in facts.calls for part in owner.split(".")} | facts.classes.keys()


def _imports(facts: FileFacts, path: str) -> bool:
    return not modules_of(path).isdisjoint(name.lstrip(".") for name in facts.imports)


def _script(calls: dict[str, set[str]]) -> bool:
    """Whether the module itself does the work, outside of any function."""
    return bool({"backward", "train", "fit"} & calls.get("", set()))


RULE = Rule(
    "unseeded-entry",
    "high",
    "Entry point without a seed",
    "No run of it can be repeated.",
    source=_source,
    tree=_tree,
)
