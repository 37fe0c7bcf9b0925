"""The whole audit: read, look, judge. Deterministic: the same tree gives the same result."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codex_ml.audit.capabilities import CAPABILITIES
from codex_ml.audit.capability import TESTED, Capability, Need, Row, judge
from codex_ml.audit.checklist import ITEMS, Item
from codex_ml.audit.facts import analyse
from codex_ml.audit.index import Index
from codex_ml.audit.model import Evidence, Finding, Suppression, severity_rank
from codex_ml.audit.project import project_name, read_project
from codex_ml.audit.rule import Rule, all_rules, broken_rules, is_foreign
from codex_ml.audit.suppressing import Comment, written_beside
from codex_ml.audit.tree import Tree, Unread, read_tree

#: A finding of this confidence or less is told, and spoils no row.
_GUESS = 2
_PYTHON = (".py", ".pyw", ".ipynb", ".pyi")


@dataclass(frozen=True)
class Checked:
    """An item of the checklist: what is there, and what is needed. Ticked when nothing is."""

    item: Item
    shown: Sequence[Evidence]
    needed: tuple[Need, ...]

    @property
    def ticked(self) -> bool:
        return not self.needed


@dataclass(frozen=True)
class Audit:
    """All that was found. *rules* are those that looked."""

    index: Index
    rows: tuple[Row, ...]
    checklist: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    suppressed: tuple[Suppression, ...]
    rules: tuple[Rule, ...]

    @property
    def tree(self) -> Tree:
        return self.index.tree


def audit(root: Path, *, workers: int | None = None) -> Audit:
    """Audit the repository at *root*. Raises DataError when it is no directory that can be opened."""
    tree = read_tree(root)
    files = [file for file in tree.files if file.suffix in _PYTHON]
    facts, unread = analyse(files, workers=workers or len(os.sched_getaffinity(0)))
    project = read_project(tree)
    tree = replace(tree, name=project_name(project))
    broken = [Unread(path, reason) for path, reason in project.broken]
    index = Index(tree, project, facts, sorted([*tree.unread, *unread, *broken], key=lambda one: one.path))
    rules = all_rules()
    findings, suppressed = _settled(index, rules)
    counted = Counter(one.rule for one in findings if one.confidence > _GUESS)
    evidence = index.evidence
    blind = sum(one.path.partition("#")[0].endswith(_PYTHON) for one in index.unread)
    rows = []
    for capability in CAPABILITIES:
        own = _densest(capability, evidence)
        first = [place for name in capability.tested_by for place in own.get(name, ())]
        own = {**evidence, **own, TESTED: index.reached(first)}
        rows.append(judge(capability, own, counted=counted, blind=blind))
    checklist = tuple(_checked(item, evidence, counted) for item in ITEMS)
    return Audit(index, tuple(rows), checklist, findings, suppressed, rules)


def _densest(capability: Capability, evidence: Mapping[str, list[Evidence]]) -> dict[str, list[Evidence]]:
    """The evidence of its needs, that of the files first which show most of them."""
    names = {name for need in capability.needs for name in need.signals}
    own = {name: evidence[name] for name in sorted(names) if name in evidence}
    shown = Counter(path for places in own.values() for path in {place.path for place in places})
    return {
        # A key of a dictionary says least.
        name: sorted(places, key=lambda place: (place.note.startswith("'"), -shown[place.path], place))
        for name, places in own.items()
    }


def _settled(index: Index, rules: Sequence[Rule]) -> tuple[tuple[Finding, ...], tuple[Suppression, ...]]:
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for facts in index.facts:
        for finding in facts.findings:
            by_rule[finding.rule].append(finding)
    found: list[Finding] = []
    broken = dict(broken_rules())
    for facts in index.facts:
        broken |= facts.broken
    for rule in rules:
        own = by_rule.get(rule.id, [])
        try:
            found.extend(own if rule.tree is None else rule.tree(index, own))
        except Exception as error:
            if not is_foreign(rule):
                raise
            broken[rule.id] = f"{type(error).__name__}: {error}"[:200]
    suppressed = {place: comment for facts in index.facts for place, comment in facts.suppressed.items()}
    suppressed |= written_beside(index.project)
    kept: list[Finding] = []
    aside: list[Suppression] = []
    for one in sorted(set(found), key=_order):
        reason = one.excused or _suppression(one, suppressed)
        if reason:
            aside.append(Suppression(one, reason))
        else:
            kept.append(one)
    index.unread = [*index.unread, *(_left_out(name, why) for name, why in sorted(broken.items()))]
    return tuple(kept), tuple(aside)


def _left_out(name: str, why: str) -> Unread:
    return Unread(f"(rule {name})", f"a rule of a plugin, left out where it broke: {why}")


def _order(one: Finding) -> tuple[int, str, Evidence, str]:
    """The worst first, then by rule and place."""
    return -severity_rank(one.severity), one.rule, one.evidence, one.message


def _suppression(one: Finding, comments: Mapping[Evidence, Comment]) -> str:
    """The reason given on its line, or on the line above that is nothing but a comment; none without one."""
    place = replace(one.evidence, symbol="", note="")
    for at in (place, replace(place, line=place.line - 1)):
        comment = comments.get(at)
        if comment is None or (at is not place and not comment.alone):
            continue
        if one.rule in comment.rules and comment.reason:
            return comment.reason
    return ""


def _checked(item: Item, evidence: dict[str, list[Evidence]], counted: Counter[str]) -> Checked:
    shown: list[Evidence] = []
    needed: list[Need] = []
    for need in item.needs:
        places = [place for name in need.signals for place in evidence.get(name, ())]
        if not places or any(counted[rule] for rule in need.without):
            needed.append(need)
        shown.extend(sorted(places, key=lambda place: (place.note.startswith("'"), place))[:2])
    return Checked(item, shown, tuple(needed))
