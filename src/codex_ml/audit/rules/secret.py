"""Something that looks like a secret, anywhere in the tree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.secrets import Formats, Secret, find_secrets
from codex_ml.audit.source import Source

#: Full of digests: only what its form gives away is one there.
_DIGESTS = frozenset({".lock", ".svg", ".map"})
_TESTS = frozenset({"tests", "test", "fixtures", "testing"})
_BASELINE = ".secrets.baseline"


def _source(source: Source) -> Iterable[Finding]:
    """Python where it is parsed; whether a baseline knows it is settled later, by its digest."""
    for one in find_secrets(source.path, source.text):
        if finding := _told(source.path, source.place(one.line), one):
            yield finding


def _tree(index: Index, found: Sequence[Finding]) -> Iterable[Finding]:
    known = _baselines(index)
    parsed = {facts.path for facts in index.facts if not facts.path.endswith(".ipynb")}
    every = list(found)
    told = {(one.evidence.path.partition("#")[0], one.evidence.symbol) for one in found}
    for file in index.tree.files:
        if file.path in parsed or file.name == _BASELINE:
            continue
        looking = (Formats(),) if file.suffix in _DIGESTS else None
        for one in find_secrets(file.path, index.project.text(file), looking):
            finding = _told(file.path, (file.path, one.line), one)
            if finding is not None and (file.path, finding.evidence.symbol) not in told:
                every.append(finding)
    for each in every:
        path, digest = each.evidence.path.partition("#")[0], each.evidence.symbol
        excuse = each.excused or ("known to a baseline of detect-secrets" if (path, digest) in known else "")
        # Nothing that follows from the value goes on.
        yield replace(each, evidence=replace(each.evidence, symbol=""), excused=excuse)


def _told(path: str, where: tuple[str, int], one: Secret) -> Finding | None:
    """The finding, its symbol the digest that baselines keep; tests may hold what only looks like it."""
    test = not _TESTS.isdisjoint(path.split("/")[:-1])
    if test and not one.certain:
        return None
    finding = RULE.finding(
        where,
        f"looks like a secret ({one.kind})",
        "revoke it, take it out of the history, and read it from the environment",
        symbol=hashlib.sha1(one.value.encode("utf-8", "replace"), usedforsecurity=False).hexdigest(),
        confidence=4 if one.certain and not test else 2,
        severity="low" if test else "",
    )
    return replace(finding, excused="its line says: allowlist secret") if one.allowed else finding


def _baselines(index: Index) -> set[tuple[str, str]]:
    """(path, SHA-1 of a value) that a baseline of the repository knows, each for its own files."""
    known: set[tuple[str, str]] = set()
    for file in index.tree.named(_BASELINE):
        folder = file.path.removesuffix(file.name)
        try:
            results = json.loads(index.project.text(file))["results"]
            known |= {(folder + name, row["hashed_secret"]) for name, rows in results.items() for row in rows}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a broken baseline excuses nothing
    return known


RULE = Rule(
    "secret",
    "critical",
    "Secret in the tree",
    "Whoever reads the repository has it. The value itself is in no report.",
    source=_source,
    tree=_tree,
)
