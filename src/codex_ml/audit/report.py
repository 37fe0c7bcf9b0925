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
from codex_ml.audit.ground import environment, integrity
from codex_ml.audit.masking import leaks, mask_all, masked
from codex_ml.audit.model import SEVERITIES, Evidence, severity_rank
from codex_ml.audit.repo_map import repo_map
from codex_ml.audit.tree import day
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
        "tests_gates": _summary(audit, gates),
        "repro": {"core_controls": [one.item.name for one in audit.checklist], "registry": _registry(audit)},
        "deferred": deferred(audit),
        "errors": recorded_errors(audit),
        "audit_integrity": integrity(audit),
    }
    found = {
        "metadata": {
            "title": f"\U0001f4cd{audit.tree.name}: Status Update ({(day_ := report_date(audit, date))})",
            "repository": audit.tree.name,
            "date": day_,
            "timestamp_utc": f"{day_}T00:00Z",
            "report_version": VERSION,
            "template_version": VERSION,
            "environment": environment(audit),
            "previous_report_path": None,
            "generator": f"codex-ml {__version__}",
            "git_context": None
            if git is None
            else {"branch": git.branch, "commit_sha": git.commit, "commit_sha_short": git.commit[:12]},
        },
        "snapshot": snapshot,
        "security": {**_security(audit), "patches_withheld": withheld},
        "questions": _questions(audit, day_),
        "automation": [f"codex-ml audit . --apply {patch['id']}" for patch in patches],
        "decisions": _decisions(audit),
    }
    named = {one["id"] for one in withheld}
    sure = {
        rule: max(one.confidence for one in audit.findings if one.rule == rule) for rule in _rules_of(audit)
    }
    shown = [{**one, "confidence": sure.get(one["rule"], 3)} for one in patches if one["id"] not in named]
    masked_ = mask_all(found)
    masked_["security"]["redactions_count"] = _redactions(masked_) - _redactions(found) + len(withheld)
    return {**masked_, "delta": None, "patches": shown}


def _rules_of(audit: Audit) -> set[str]:
    return {one.rule for one in audit.findings}


def _redactions(report: Mapping[str, Any]) -> int:
    return json.dumps(report).count("[redacted")


def report_date(audit: Audit, given: str | None) -> str:
    """The day of HEAD, else that of ``SOURCE_DATE_EPOCH``, else the one that was given; never today's.

    Raises UsageError where there is none of them, or *given* is no day.
    """
    if given is not None:
        _check_day(given)
    if audit.tree.git is not None and audit.tree.git.date:
        return audit.tree.git.date
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch:
        found = day(int(epoch)) if re.fullmatch(r"[0-9]{1,18}", epoch) else ""
        if not found:
            raise UsageError(
                "SOURCE_DATE_EPOCH is no time",
                code="audit.date",
                got=epoch[:40],
                wanted="seconds since 1970",
                next_step="unset it, or set it to the output of `date +%s`",
            )
        return found
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
            "owner": None,
            "asked_utc": asked,
            "status": "open",
            "question": one.item.question,
            "answer": None,
        }
        for one in audit.checklist
        if one.needed
    ]


def _security(audit: Audit) -> dict[str, Any]:
    return {
        "masking_applied": True,
        "patterns_detected": sorted({one.message for one in audit.findings if one.rule == "secret"}),
        "by_severity": {
            name: sum(one.severity == name for one in audit.findings) for name in reversed(SEVERITIES)
        },
    }


def _decisions(audit: Audit) -> list[dict[str, Any]]:
    """What the code itself decided: findings that it set aside, with their reasons."""
    return [
        {
            "title": f"{one.finding.rule} set aside at {one.finding.evidence.where()}",
            "context": one.finding.message,
            "options": [one.finding.action, "set it aside with a reason"],
            "chosen": one.reason,
            "owner": None,
            "date_utc": None,
        }
        for one in audit.suppressed
    ]


def _summary(audit: Audit, gates: Mapping[str, Any] | None) -> dict[str, Any]:
    """``tests_gates``: what ran; without gates what could be run, and that nothing was."""
    known = [place.note for place in audit.index.evidence.get("config.gate", ())]
    total = sum(1 for _ in audit.index.tests())
    not_run = dict.fromkeys(("passed", "failed", "skipped", "duration_seconds"))
    floors = [place.note for place in audit.index.evidence.get("config.coverage", ())]
    nothing: dict[str, Any] = {"run": False, "commands": [], "known": known[:8], "error_blocks": []}
    found = dict(gates) if gates is not None else nothing
    return {
        **found,
        "tests_summary": {"total": total, **not_run, **found.get("tests_summary", {})},
        "coverage_percent": found.get("coverage_percent"),
        "coverage_threshold": _number(floors[0]) if floors else None,
        "coverage_by_module": {},
    }


def _number(text: str) -> float | None:
    match = re.search(r"\d+(\.\d+)?", text)
    return float(match[0]) if match else None


def worst(report: Mapping[str, Any]) -> str:
    """The highest severity among the findings; ``info`` when there is none."""
    found = [row["severity_name"] for row in report["snapshot"]["findings"]]
    return max(found, key=severity_rank, default="info")
