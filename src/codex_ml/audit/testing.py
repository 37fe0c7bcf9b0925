"""Tests and whether they can fail: what counts as an assertion, and what a test reaches."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codex_ml.audit.names import dotted
from codex_ml.audit.source import Definition, Source, functions, leaves, live_blocks

_ASSERTING = re.compile(
    r"(^|\.)(assert\w*|raises|warns|deprecated_call|fail|expect\w*|check\w*|verify\w*|approx|snapshot|opcheck|gradcheck|"
    r"should\w*|must\w*|ensure\w*|validate|testmod|testfile|approvals)$"
)
_UNITTEST = re.compile(r"^(assert|fail)[A-Z]")
_PROCESS = frozenset({"check_call", "check_output", "raise_for_status"})
_SKIPPED = re.compile(r"(^|\.)(skip|xfail|skipIf|expectedFailure)(\(\))?$")

_LOOPS = (ast.For, ast.While, ast.ListComp, ast.GeneratorExp)
_SEEDS = re.compile(r"seed|same|twice|determin|reproduc|repeat")
_EQUAL = re.compile(
    r"(^|\.)(equal|array_equal|allclose|assert_allclose|assert_close|assert_array_equal|assertEqual)$"
)


@dataclass(frozen=True)
class TestFact:
    """A test function. *calls*: the last names of all that it calls, to see what it reaches.

    *repeats*: it speaks of a seed, and calls something twice or in a loop, to compare what came out.
    """

    __test__ = False

    name: str
    line: int
    asserts: bool
    skipped: bool
    empty: bool
    calls: frozenset[str]
    repeats: bool = False


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
    calls: Counter[str] = Counter()
    asserts = compares = seeded = False
    for item in _reached(node):
        seeded = seeded or _speaks_of_a_seed(item)
        compares = compares or _compares(item)
        if isinstance(item, ast.Assert):
            asserts = asserts or not _is_certain(item.test)
        elif isinstance(item, ast.Call):
            name = dotted(item.func)
            calls[name.rpartition(".")[2]] += 1
            asserts = asserts or counts_as_assertion(name, item)
        elif isinstance(item, ast.Raise):
            asserts = True
    body = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
    empty = all(isinstance(item, ast.Pass) or _is_text(item) for item in body)
    skipped = any(_SKIPPED.search(name) for name in one.decorators) or any(map(_is_skip, body))
    twice = any(count > 1 for count in calls.values()) or any(
        isinstance(item, _LOOPS) for item in ast.walk(node)
    )
    repeats = twice and compares and (seeded or _SEEDS.search(one.short) is not None)
    return TestFact(one.name, one.line, asserts, skipped, empty, frozenset(calls), repeats)


def _speaks_of_a_seed(item: ast.AST) -> bool:
    name = item.arg if isinstance(item, ast.keyword) else item.id if isinstance(item, ast.Name) else ""
    called = dotted(item.func) if isinstance(item, ast.Call) else ""
    return "seed" in (name or "") or "seed" in called


def _compares(item: ast.AST) -> bool:
    """``assert a == b``, or a call that compares, as ``torch.equal`` and ``assert_allclose`` do."""
    if isinstance(item, ast.Assert):
        parts = ast.walk(item.test)
        return any(isinstance(one, ast.Compare) and isinstance(one.ops[0], ast.Eq) for one in parts)
    return isinstance(item, ast.Call) and _EQUAL.search(dotted(item.func)) is not None


def _is_skip(item: ast.stmt) -> bool:
    """``pytest.skip(…)`` as a statement of the test itself: whatever happens, nothing is tested."""
    call = item.value if isinstance(item, ast.Expr) else None
    return isinstance(call, ast.Call) and dotted(call.func) in (
        "pytest.skip",
        "pytest.xfail",
        "self.skipTest",
    )


def _reached(node: ast.AST) -> Iterator[ast.AST]:
    """What a call of this function can come to, failures that it swallows left out.

    Functions within it count where their name is used.
    """
    used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    todo: list[ast.AST] = [node]
    while todo:
        item = todo.pop()
        yield item
        if isinstance(item, ast.If):
            todo.append(item.test)
            todo += [one for block in live_blocks(item) for one in _until_left(block)]
        elif isinstance(item, ast.Try) and any(_swallows(one) for one in item.handlers):
            todo += [*item.handlers, *item.orelse, *item.finalbody]
            todo += [one for one in item.body if not isinstance(one, ast.Assert)]
        else:
            todo += [one for one in _children(item) if not _is_unused(one, used)]


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name in node._fields:
        value = getattr(node, name, None)
        nodes = value if isinstance(value, list) else [value]
        yield from _until_left([one for one in nodes if isinstance(one, ast.AST)])


def _until_left(block: Sequence[ast.AST]) -> Iterator[ast.AST]:
    for one in block:
        yield one
        if leaves(one):
            return


def _is_unused(node: ast.AST, used: set[str]) -> bool:
    """A function within that nothing calls or passes on, nor a decorator takes."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return not node.decorator_list and node.name not in used


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a failed assertion ends here: ``except AssertionError: pass``."""
    kinds = [] if handler.type is None else list(ast.walk(handler.type))
    names = {one.id for one in kinds if isinstance(one, ast.Name)}
    caught = handler.type is None or bool(names & {"AssertionError", "Exception", "BaseException"})
    return caught and all(isinstance(one, ast.Pass) or _is_text(one) for one in handler.body)


def _is_certain(test: ast.expr) -> bool:
    """A condition that nothing can make false: ``True``, a text, a tuple in which something stands."""
    if isinstance(test, ast.Tuple):
        return bool(test.elts)
    return isinstance(test, ast.Constant) and bool(test.value)


def counts_as_assertion(name: str, call: ast.Call) -> bool:
    """Whether a call can fail a test by itself."""
    last = name.rpartition(".")[2]
    if _UNITTEST.match(last) or _ASSERTING.search(name) or last in _PROCESS:
        return True
    return any(
        one.arg == "check" and isinstance(one.value, ast.Constant) and one.value.value is True
        for one in call.keywords
    )


def fails_by_name(name: str) -> bool:
    """Whether a call of this name is an assertion wherever it stands, as those of unittest and numpy are."""
    last = name.rpartition(".")[2]
    return _UNITTEST.match(last) is not None or last.startswith("assert_")


def _is_text(item: ast.stmt) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
