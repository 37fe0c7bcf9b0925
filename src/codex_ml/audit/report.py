"""The audit as JSON: one dictionary under a published schema. Every other format is rendered from it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date as Date
from importlib import resources
from typing import Any

from codex_ml import __version__
from codex_ml.audit.audit import Audit, Checked
from codex_ml.audit.capability import Row
from codex_ml.audit.errors_recorded import recorded_errors
from codex_ml.audit.findings import deferred, high_signal
from codex_ml.audit.masking import leaks, mask_all, masked
from codex_ml.audit.model import SEVERITIES, Evidence, severity_rank
from codex_ml.audit.repo_map import repo_map
from codex_ml.audit.tree import day
from codex_ml.core.digest import digest_json
from codex_ml.errors import UsageError

VERSION = "1.2"
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_SHOWN = 4


def report_of(
    audit: Audit,
    *,
    date: str | None = None,
    patches: Sequence[Mapping[str, Any]] = (),
    gates: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report. *patches* and *gates* come from those who made them, as dictionaries.

    No secret of the tree is in it: texts are masked, and a patch whose lines hold one is named only.
    """
    withheld = [{"id": one["id"], "title": masked(one["title"])} for one in patches if leaks(one["diff"])]
    git = audit.tree.git
    snapshot = {
        "repo_map": repo_map(audit),
        "capabilities": [_row(row) for row in audit.rows],
        "findings": high_signal(audit),
        "tests_gates": dict(gates) if gates else _no_gates(audit),
        "repro": {"core_controls": [one.item.name for one in audit.checklist], "registry": _registry(audit)},
        "deferred": deferred(audit),
        "errors": recorded_errors(audit),
        "audit_integrity": _integrity(audit),
    }
    found = {
        "metadata": {
            "title": f"\U0001f4cd{audit.tree.name}: Status Update ({(day_ := report_date(audit, date))})",
            "repository": audit.tree.name,
            "date": day_,
            "report_version": VERSION,
            "generator": f"codex-ml {__version__}",
            "git_context": None
            if git is None
            else {"branch": git.branch, "commit_sha": git.commit, "commit_sha_short": git.commit[:12]},
        },
        "snapshot": snapshot,
        "security": {**_security(audit), "patches_withheld": withheld},
        "questions": _questions(audit, day_),
    }
    named = {one["id"] for one in withheld}
    shown = [dict(patch) for patch in patches if patch["id"] not in named]
    return {**mask_all(found), "delta": None, "patches": shown}


def report_date(audit: Audit, given: str | None) -> str:
    """The day of HEAD, else that of ``SOURCE_DATE_EPOCH``, else the one that was given; never today's.

    Raises UsageError where there is none of them, or *given* is no day.
    """
    if given is not None:
        _check_day(given)
    if audit.tree.git is not None:
        return audit.tree.git.date
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdigit():
        return day(int(epoch))
    if given is None:
        raise UsageError(
            "a report needs a date, and here is no commit to take it from",
            code="audit.date",
            wanted="a git repository with a commit, SOURCE_DATE_EPOCH or --date",
            next_step="add --date YYYY-MM-DD",
        )
    return given


def _check_day(given: str) -> None:
    try:
        if not _DAY.match(given):
            raise ValueError
        Date.fromisoformat(given)
    except ValueError:
        raise UsageError(
            "--date is no day",
            code="audit.date",
            got=given,
            wanted="YYYY-MM-DD",
            next_step="such as --date 2026-01-31",
        ) from None


def report_schema() -> dict[str, Any]:
    """The published JSON Schema of the report."""
    text = resources.files("codex_ml.audit").joinpath("report.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _row(row: Row) -> dict[str, Any]:
    shown = {need: [place.as_dict() for place in places[:_SHOWN]] for need, places in row.shown.items()}
    artifacts = _first(list(row.shown.values()))
    return {
        "id": row.capability.id,
        "name": row.capability.name,
        "status": row.status,
        "confidence": row.confidence,
        "severity": row.severity,
        "artifacts": artifacts,
        "evidence": shown,
        "decided_by": _decided(row),
        "missing": [need.id for need in row.missing],
        "gaps": [need.gap for need in row.missing],
        "risks": [need.risk for need in row.missing if need.risk],
        "patch_plan": [need.plan for need in row.missing if need.plan],
        "rollback": f"revert the commit that changes {_files(artifacts)}"
        if row.missing
        else "nothing to revert",
    }


def _decided(row: Row) -> str:
    if not row.missing:
        return f"every piece of evidence is there: {', '.join(row.shown)}"
    first = row.capability.needs[0]
    there = f"there: {', '.join(row.shown) or 'nothing'}"
    missing = ", ".join(need.id for need in row.missing)
    return f"{there}; missing: {missing}" + (
        "" if first.id in row.shown else f" (without '{first.id}' there is none)"
    )


def _first(groups: Sequence[Sequence[Evidence]]) -> list[str]:
    """One place of each need, the first need first, each file once; a test at the end."""
    code: dict[str, Evidence] = {}
    tests: dict[str, Evidence] = {}
    for rank in range(_SHOWN):
        for places in groups:
            if len(places) > rank:
                kept = tests if places[rank].note == "test" else code
                kept.setdefault(places[rank].path, places[rank])
    chosen = [*list(code.values())[: _SHOWN - 1], *list(tests.values())[:1]]
    return [place.where() + (f" ({place.symbol})" if place.symbol else "") for place in chosen]


def _files(artifacts: Sequence[str]) -> str:
    names = list(dict.fromkeys(text.partition(":")[0] for text in artifacts))
    return ", ".join(names[:2]) or "what is added"


def _registry(audit: Audit) -> list[dict[str, Any]]:
    return [_control(one) for one in audit.checklist]


def _control(one: Checked) -> dict[str, Any]:
    return {
        "id": one.item.id,
        "category": "reproducibility",
        "control": one.item.name,
        "status": "ticked" if one.ticked else "open",
        "evidence": _first([one.shown]),
        "needed": [need.gap for need in one.needed],
        "prompt": one.item.prompt,
    }


def _questions(audit: Audit, asked: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"Q-{one.item.id}",
            "category": one.item.name,
            "priority": "P1" if len(one.needed) > 1 else "P2",
            "asked": asked,
            "status": "open",
            "question": one.item.question,
        }
        for one in audit.checklist
        if one.needed
    ]


def _no_gates(audit: Audit) -> dict[str, Any]:
    """What could be run, and that it was not: an audit runs nothing unless it is told to."""
    commands = [place.note for place in audit.index.evidence.get("config.gate", ())]
    total = sum(1 for _ in audit.index.tests())
    return {"run": False, "commands": [], "known": commands[:8], "tests_summary": {"total": total}}


def _security(audit: Audit) -> dict[str, Any]:
    return {
        "masking_applied": True,
        "patterns_detected": sorted({one.message for one in audit.findings if one.rule == "secret"}),
        "by_severity": {
            name: sum(one.severity == name for one in audit.findings) for name in reversed(SEVERITIES)
        },
    }


def _integrity(audit: Audit) -> dict[str, Any]:
    """What was read, with a digest of its listing: two reports can be told to be of one tree."""
    ground = [[file.path, file.size] for file in audit.tree.files]
    return {
        "files": len(audit.tree.files),
        "lines_of_code": audit.index.lines,
        "listing_sha256": digest_json(ground),
        "rules": [rule.id for rule in audit.rules],
        "unread": [{"path": one.path, "reason": one.reason} for one in audit.index.unread],
        "suppressed": [
            {"rule": one.finding.rule, "where": one.finding.evidence.where(), "reason": one.reason}
            for one in audit.suppressed
        ],
    }


def worst(report: Mapping[str, Any]) -> str:
    """The highest severity among the findings; ``info`` when there is none."""
    found = [row["severity_name"] for row in report["snapshot"]["findings"]]
    return max(found, key=severity_rank, default="info")
