"""Tests and whether they can fail: what counts as an assertion, and what a test reaches."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from codex_ml.audit.source import Definition, Source, dotted, functions

_ASSERTING = re.compile(
    r"(^|\.)(assert\w*|raises|warns|deprecated_call|fail|expect\w*|check\w*|verify\w*|approx|snapshot|opcheck|gradcheck|"
    r"should\w*|must\w*|ensure\w*|validate|testmod|testfile|approvals)$"
)
_UNITTEST = re.compile(r"^(assert|fail)[A-Z]")
_PROCESS = frozenset({"check_call", "check_output", "raise_for_status"})
_SKIPPED = re.compile(r"(^|\.)(skip|xfail|skipIf|expectedFailure)(\(\))?$")


@dataclass(frozen=True)
class TestFact:
    """A test function. *calls*: the last names of all that it calls, to see what it reaches."""

    __test__ = False

    name: str
    line: int
    asserts: bool
    skipped: bool
    empty: bool
    calls: frozenset[str]


def test_facts(source: Source) -> list[TestFact]:
    """The tests of a test file; none for other files."""
    if not source.is_test:
        return []
    return [_fact(one, node) for one, node in functions(source) if is_test(one)]


def is_test(one: Definition) -> bool:
    """A function that pytest or unittest would call."""
    if one.is_class or not one.short.startswith("test") or any("fixture" in name for name in one.decorators):
        return False
    holder = one.in_class
    if holder is None:
        return not one.owner and (one.short == "test" or one.short.startswith("test_"))
    return holder.name.startswith("Test") or any("TestCase" in dotted(base) for base in holder.bases)


def _fact(one: Definition, node: ast.AST) -> TestFact:
    calls: set[str] = set()
    asserts = False
    for item in ast.walk(node):
        if isinstance(item, ast.Assert):
            asserts = True
        elif isinstance(item, ast.Call):
            name = dotted(item.func)
            last = name.rpartition(".")[2]
            calls.add(last)
            asserts = asserts or counts_as_assertion(name, item)
        elif isinstance(item, ast.Raise):
            asserts = True
    body = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
    empty = all(isinstance(item, ast.Pass) or _is_text(item) for item in body)
    skipped = any(_SKIPPED.search(name) for name in one.decorators) or bool({"skip", "xfail"} & calls)
    return TestFact(one.name, one.line, asserts, skipped, empty, frozenset(calls))


def counts_as_assertion(name: str, call: ast.Call) -> bool:
    """Whether a call can fail a test by itself."""
    last = name.rpartition(".")[2]
    if _UNITTEST.match(last) or _ASSERTING.search(name) or last in _PROCESS:
        return True
    return any(
        one.arg == "check" and isinstance(one.value, ast.Constant) and one.value.value is True
        for one in call.keywords
    )


def _is_text(item: ast.stmt) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
