"""The repository as the audit sees it: facts of files, evidence of signals, tests and what they reach."""

from __future__ import annotations

import builtins
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from codex_ml.audit.facts import FileFacts, the_matcher
from codex_ml.audit.import_graph import by_module, file_of, modules_of, programs
from codex_ml.audit.model import Evidence
from codex_ml.audit.project import Project
from codex_ml.audit.project_signals import project_signals
from codex_ml.audit.settings import settings_signals
from codex_ml.audit.signals import parted
from codex_ml.audit.testing import TestFact
from codex_ml.audit.tree import Tree, Unread

#: Folders beside a package: what they show is not what users get.
_BESIDE = frozenset({"benchmarks", "bench", "examples", "docs", "doc", "tools", "scripts", "ci"})
#: Folders whose files serve tests, whatever they are called.
_TESTS = frozenset({"tests", "test"})
#: How far a seed is followed through functions that call functions.
_HOPS = 3
#: Names that too many things have, those of Python's own types before all: alone they lead nowhere.
_GENERIC = frozenset(
    {
        "main",
        "run",
        "get",
        "call",
        "load",
        "save",
        "close",
        "step",
        "train",
        "eval",
        "update",
        "build",
        "make",
    }
).union(*(dir(one) for one in (builtins, str, bytes, list, dict, set, io.TextIOWrapper, PurePosixPath, Path)))
#: Methods that a framework calls, or Python itself: whoever makes the object reaches them.
_IMPLICIT = re.compile(r"__\w+__$|(forward|setup|configure_\w+|\w+_(step|dataloader)|(on|before|after)_\w+)$")


_READS = frozenset({"read_text", "read_bytes", "open", "rglob", "glob"})
_RUNS = frozenset({"run", "invoke", "exec", "check_output", "check_call", "Popen", "run_cli", "cli", "main"})


@dataclass
class Index:
    """*facts* in the order of paths; *unread* is all that was not looked into."""

    tree: Tree
    project: Project
    facts: Sequence[FileFacts]
    unread: Sequence[Unread]
    lines: int = 0

    def __post_init__(self) -> None:
        self.lines = sum(one.lines for one in self.facts)

    @cached_property
    def evidence(self) -> dict[str, list[Evidence]]:
        """Signal -> places, of code that is no test; a signal within stubs stands as ``stub:SIGNAL``."""
        found: dict[str, list[Evidence]] = defaultdict(list)
        for one in self.facts:
            for name, places in one.signals.items():
                if name == "ci.optional" or self.counts(one):
                    found[name].extend(places)
        for name, places in project_signals(self.project).items():
            found[name].extend(places)
        if found.get("config.use"):  # else nothing reads them
            for key, places in settings_signals(self.project, the_matcher()).items():
                if "@" not in key:  # what has conditions on a file of code is not shown by a setting
                    found[key].extend(places)
        self._link(found)
        without = {(one.path, one.symbol) for one in found.get("eval.nograd", ())}
        modes = [one for one in found.get("eval.mode", ()) if (one.path, one.symbol) in without]
        found["eval.use"] = sorted([*found.get("eval.use", ()), *modes])
        found["ci.tests"] = [
            _tested(one, test) for one, test in self.tests() if test.asserts and not test.skipped
        ]
        found["ci.optional_marked"] = found.get("ci.optional", []) or found["ci.tests"]
        found["test.cli"] = self._tests_calling("cli.tests")
        found["test.seed"] = [
            _tested(one, test)
            for one, test in self.tests()
            if test.repeats and test.asserts and not test.skipped
        ]
        found["test.data"] = self.reached([*found.get("data.order", ()), *found.get("data.digest", ())])
        found["docs.read_by_tests"] = self._tests_of_pages()
        return dict(found)

    def _link(self, found: dict[str, list[Evidence]]) -> None:
        """Of signals that want a link, keep what is in one program with one of those."""
        for key in [key for key in found if "@" in key]:
            name, links, _ = parted(key)
            anchors = {self._programs.get(place.path) for link in links for place in found.get(link, ())}
            kept = found.pop(key)
            found[name] += [one for one in kept if not links or self._programs.get(one.path) in anchors]
        for places in found.values():
            places.sort()

    def joined(self, one: str, other: str) -> bool:
        """Whether two files are one program (see `programs`)."""
        return one == other or self._programs.get(one, -1) == self._programs.get(other, -2)

    @cached_property
    def _programs(self) -> dict[str, int]:
        return programs({one.path: one.imports for one in self.facts if self.counts(one)})

    def counts(self, one: FileFacts) -> bool:
        """Whether a file shows what the project does: no test, and of the package where there is one."""
        support = not _TESTS.isdisjoint(one.path.split("/")[:-1])
        return not one.is_test and not support and not self._beside(one)

    def _beside(self, one: FileFacts) -> bool:
        return self.packaged and one.path.partition("/")[0].lower() in _BESIDE

    @cached_property
    def packaged(self) -> bool:
        """Whether the repository installs something; examples and benchmarks are beside it then."""
        section = self.project.pyproject
        declared = bool(section.get("project") or section.get("tool", {}).get("poetry"))
        at_root = declared and "/" not in self.project.pyproject_path
        return at_root or any("/" not in file.path for file in self.tree.named("setup.py"))

    def tests(self) -> Iterator[tuple[FileFacts, TestFact]]:
        for one in self.facts:
            for test in one.tests:
                yield one, test

    def reached(self, places: Sequence[Evidence]) -> list[Evidence]:
        """Tests with an assertion that call what stands at *places*, directly or through what calls it.

        Where all of it stands outside of functions, importing a module is what there is to reach.
        """
        ways = self._ways({way for place in places if (way := way_to(place.symbol))})
        names = {name for way in ways if len(way) == 1 for name in way}
        pairs = [way for way in ways if len(way) > 1]
        # A name that says nothing says enough where the test imports the module it stands in.
        plain = {place.symbol for place in places if place.symbol in _GENERIC}
        within = any(place.symbol for place in places)
        modules = {module for place in places for module in modules_of(place.path)}
        found: list[tuple[int, Evidence]] = []
        for one in self.facts:
            if one.path not in self._users:
                continue
            near = not modules.isdisjoint(one.imports)
            for test in one.tests:
                called = not names.isdisjoint(test.calls) or any(pair <= test.calls for pair in pairs)
                called = called or (near and not plain.isdisjoint(test.calls))
                if test.asserts and not test.skipped and (called or (near and not within)):
                    found.append((2 - near - called, _tested(one, test)))
                    break
        return [place for _far, place in sorted(found)]

    @cached_property
    def _users(self) -> set[str]:
        """Test files that import code of the repository, and not only other tests and their helpers."""
        files = by_module(one.path for one in self.facts)
        own = {one.path for one in self.facts if self.counts(one)}
        return {
            one.path
            for one in self.facts
            if one.is_test and not self._beside(one)
            if any(file_of(one.path, name, files) in own for name in one.imports)
        }

    def _ways(self, ways: set[frozenset[str]]) -> set[frozenset[str]]:
        """*ways* and those to the functions that go them, some hops up."""
        found, fresh = set(ways), set(ways)
        for _ in range(_HOPS):
            fresh = {up for way in fresh for up in self._ways_above(way)} - found
            if not fresh:
                break
            found |= fresh
        return found

    def _ways_above(self, way: frozenset[str]) -> Iterator[frozenset[str]]:
        first, *others = sorted(way)
        for owner, called in self._callers_of.get(first, ()):
            if called.issuperset(others) and (up := way_to(owner)):
                yield up

    @cached_property
    def _callers_of(self) -> dict[str, list[tuple[str, set[str]]]]:
        """Name -> the functions, outside of tests, that call it, with all that they call."""
        found: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
        for one in self.facts:
            for owner, called in one.calls.items() if not one.is_test else ():
                for name in called if owner else ():
                    found[name].append((owner, called))
        return dict(found)

    @cached_property
    def seeders(self) -> set[str]:
        """Names of functions that set a seed, themselves or through what they call."""
        found = {
            place.symbol.rpartition(".")[2]
            for one in self.facts
            for place in one.signals.get("repro.seed", ())
            if place.symbol
        }
        for _ in range(_HOPS):
            more = {
                owner.rpartition(".")[2]
                for one in self.facts
                for owner, called in one.calls.items()
                if owner and not one.is_test and not found.isdisjoint(called)
            }
            if more <= found:
                break
            found |= more
        return found

    @cached_property
    def classes(self) -> dict[str, set[str]]:
        """Class -> methods that a class below it defines, directly or further down."""
        below: dict[str, set[str]] = defaultdict(set)
        bases = {
            name: ({base.rpartition(".")[2] for base in parents}, methods)
            for one in self.facts
            for name, (parents, methods) in one.classes.items()
        }
        for name, (_parents, methods) in bases.items():
            seen, todo = {name}, [name]
            while todo:
                for parent in bases.get(todo.pop(), (set(), frozenset()))[0]:
                    below[parent] |= methods
                    if parent not in seen:
                        seen.add(parent)
                        todo.append(parent)
        return dict(below)

    @cached_property
    def asserting(self) -> set[str]:
        """Names of functions of the repository that can fail a test."""
        return {name for one in self.facts for name in one.asserting}

    def _tests_calling(self, signal: str) -> list[Evidence]:
        found = []
        for one in self.facts:
            if one.is_test and one.signals.get(signal):
                found += [_tested(one, test) for test in one.tests if test.asserts][:1]
        return found

    def _tests_of_pages(self) -> list[Evidence]:
        """Tests of files that read Markdown and run something, told by what they call."""
        found = []
        for one in self.facts:
            called = set().union(*one.calls.values())
            if one.is_test and "docs.names" in one.signals and called & _READS and called & _RUNS:
                found += [_tested(one, test) for test in one.tests if test.asserts][:1]
        return found


def _tested(one: FileFacts, test: TestFact) -> Evidence:
    return Evidence(one.path, test.line, test.name, "test")


def way_to(symbol: str) -> frozenset[str]:
    """The names that a function calls to get into *symbol*: its own, or class and method; none: unsure."""
    parts = [part for part in symbol.split(".") if part]
    name = parts[-1] if parts else ""
    holder = parts[-2] if len(parts) > 1 else ""
    if holder and not holder.lstrip("_")[:1].isupper():  # a function within a function
        return way_to(".".join(parts[:-1]))
    if holder and _IMPLICIT.match(name):
        return frozenset({holder})
    if name in _GENERIC:
        return frozenset({holder, name}) if holder else frozenset()
    return frozenset({name}) if name else frozenset()
