"""What one file gives to the audit: findings, signals, tests, definitions; small enough to pass on."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from codex_ml.audit.model import Evidence, Finding
from codex_ml.audit.read import read_source
from codex_ml.audit.rule import Rule, all_rules, is_foreign
from codex_ml.audit.signals import Matcher, matcher
from codex_ml.audit.source import Source
from codex_ml.audit.stubs import is_interface
from codex_ml.audit.suppressing import Comment, comments_in
from codex_ml.audit.testing import TestFact, fails_by_name, test_facts
from codex_ml.audit.tree import File, Unread

#: Below this many bytes of Python one process is faster than two.
_WORTH_IT = 1_500_000
#: Functions that are asked whether a package is there.
_ASKS = frozenset(
    {"find_spec", "importorskip", "require", "need", "optional_import", "import_optional_dependency"}
)
#: Where helpers of tests stand: code elsewhere raises for its users, not to fail a test.
_TESTING = re.compile(r"(^|[/_])(tests?|testing|conftest)([/_.]|$)", re.IGNORECASE)
_PAGES = re.compile(r"README\.md|[\"']docs[\"'/]|\.md[\"']")


@dataclass
class FileFacts:
    """What is kept of a file.

    *classes*: name -> (bases, methods). *calls*: function -> the last names that it calls; ``""`` is the
    module. *required*: package -> line, for what is imported with the module and must be there; *guarded*:
    packages whose absence is asked for or caught. *interfaces*: the methods of each protocol and
    abstract class. *broken*: rules of plugins that raised.
    """

    path: str
    lines: int
    is_test: bool
    main: int
    findings: list[Finding] = field(default_factory=list)
    signals: dict[str, list[Evidence]] = field(default_factory=dict)
    tests: list[TestFact] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    calls: dict[str, set[str]] = field(default_factory=dict)
    classes: dict[str, tuple[tuple[str, ...], frozenset[str]]] = field(default_factory=dict)
    asserting: set[str] = field(default_factory=set)
    suppressed: dict[Evidence, Comment] = field(default_factory=dict)
    required: dict[str, int] = field(default_factory=dict)
    guarded: set[str] = field(default_factory=set)
    interfaces: list[frozenset[str]] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


def analyse(files: Sequence[File], *, workers: int) -> tuple[list[FileFacts], list[Unread]]:
    """The facts of Python files and notebooks, in the order of *files*."""
    size = sum(file.size for file in files)
    if workers < 2 or size < _WORTH_IT:
        results: Iterable[FileFacts | Unread] = map(_facts_of, files)
        return _parted(results)
    chunk = max(1, min(64, len(files) // (workers * 4)))
    with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:
        return _parted(pool.map(_facts_of, files, chunksize=chunk))


def _parted(results: Iterable[FileFacts | Unread]) -> tuple[list[FileFacts], list[Unread]]:
    facts: list[FileFacts] = []
    unread: list[Unread] = []
    for one in results:
        if isinstance(one, Unread):
            unread.append(one)
        else:
            facts.append(one)
    return facts, unread


def _facts_of(file: File) -> FileFacts | Unread:
    source = read_source(file)
    if isinstance(source, Unread):
        return source
    return facts_of(source)


def facts_of(source: Source, rules: Sequence[Rule] | None = None) -> FileFacts:
    """Everything that is kept of one parsed file."""
    kept = FileFacts(source.path, len(source.lines), source.is_test, source.main)
    for rule in _source_rules() if rules is None else rules:
        if rule.source is not None:
            _look(rule, source, kept)
    kept.signals = the_matcher().found(source)
    kept.tests = test_facts(source)
    for one in source.imports:
        kept.imports |= {one.module, f"{one.module}.{one.name}"} if one.name else {one.module}
        head = one.module.partition(".")[0]
        if head and not one.guarded and not one.owner:
            kept.required.setdefault(head, one.line)
        elif one.guarded:
            kept.guarded.add(head)
    for call in source.calls:
        kept.calls.setdefault(call.owner, set()).add(call.last)
        if call.last in _ASKS:
            words = (one.value for one in call.node.args if isinstance(one, ast.Constant))
            kept.guarded |= {word.partition(".")[0] for word in words if isinstance(word, str)}
    for definition in source.definitions:
        node = definition.node
        if isinstance(node, ast.ClassDef):
            methods = frozenset(
                one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            kept.classes[node.name] = (definition.bases, methods)
            if is_interface(node):
                kept.interfaces.append(methods)
    kept.asserting = _helpers(source)
    kept.suppressed = comments_in(source)
    if source.is_test and (match := _PAGES.search(source.text)):
        line = source.text.count("\n", 0, match.start()) + 1
        kept.signals["docs.names"] = [Evidence(source.path, line, "", match[0])]
    return kept


def _look(rule: Rule, source: Source, kept: FileFacts) -> None:
    assert rule.source is not None
    try:
        kept.findings.extend(rule.source(source))
    except Exception as error:
        if not is_foreign(rule):
            raise
        kept.broken[rule.id] = f"{type(error).__name__}: {error}"[:200]


def _helpers(source: Source) -> set[str]:
    """Names of functions that fail a test which calls them; a raise counts where helpers of tests stand."""
    found = {call.owner for call in source.calls if fails_by_name(call.raw)} | source.asserting
    if _TESTING.search(source.path):
        found |= source.raising
    return {name.rpartition(".")[2] for name in found if name}


@cache
def _source_rules() -> tuple[Rule, ...]:
    return tuple(rule for rule in all_rules() if rule.source is not None)


@cache
def the_matcher() -> Matcher:
    from codex_ml.audit.capabilities import CAPABILITIES
    from codex_ml.audit.checklist import ITEMS

    return matcher([signal for one in (*CAPABILITIES, *ITEMS) for signal in one.signals])
