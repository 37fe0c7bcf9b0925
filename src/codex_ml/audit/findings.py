"""Findings as the report tells them: by rule, the worst first; and what is put off, with its reason."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.capability import Row
from codex_ml.audit.model import MISSING, PARTIAL, Finding, severity_rank

#: So many places of one rule are told by name; the rest by their number.
_PLACES = 12


def high_signal(audit: Audit) -> list[dict[str, Any]]:
    """One entry a rule that found something, every place in ``evidence``; rows of the table follow."""
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for one in audit.findings:
        by_rule[one.rule].append(one)
    why = {rule.id: rule.why for rule in audit.rules}
    found = [_entry(rule, ones, why[rule]) for rule, ones in by_rule.items()]
    return sorted(found, key=lambda row: (-row["severity"], -row["count"], row["rule"]))


def _entry(rule: str, ones: list[Finding], why: str) -> dict[str, Any]:
    worst = max(ones, key=lambda one: severity_rank(one.severity))
    files = len({one.evidence.path for one in ones})
    several = f"{len(ones)} in {files} file{'s' if files > 1 else ''}"
    count = several if len(ones) > 1 else ones[0].evidence.where()
    return {
        "rule": rule,
        "title": f"{worst.title}: {count}",
        "evidence": [
            {**one.evidence.as_dict(), "severity": one.severity, "note": one.message}
            for one in ones[:_PLACES]
        ],
        "count": len(ones),
        "impact": why,
        "proposed_action": worst.action,
        "severity": severity_rank(worst.severity) + 1,
        "severity_name": worst.severity,
        "confidence": max(one.confidence for one in ones),
        "keys": sorted(one.key() for one in ones),  # as often as they stand
    }


def deferred(audit: Audit) -> list[dict[str, Any]]:
    """Rows that are missing or far from done: what is left for later, and the smallest way there."""
    found = []
    for row in audit.rows:
        first = row.capability.needs[0]
        gone = row.status == MISSING
        far = row.status == PARTIAL and len(row.missing) * 2 > len(row.capability.needs)
        if gone or far:
            found.append(
                {
                    "item": row.capability.name,
                    "rationale": _rationale(row),
                    "risk": (row.missing[0] if row.missing else first).risk,
                    "plan": [need.plan for need in row.missing[:3]],
                    "review_date_utc": None,
                }
            )
    return found


def _rationale(row: Row) -> str:
    """Why it is for later: much is missing, what is missing is dangerous, or nobody has begun."""
    if row.status == MISSING and not any(row.shown.values()):
        return "no owner: nothing of it is there"
    if row.severity >= 5:
        return f"risk: without '{row.missing[0].id}' the rest does not stand"
    return f"complexity: {len(row.missing)} of {len(row.capability.needs)} pieces are missing"
