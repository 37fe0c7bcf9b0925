"""What changed since another report of the same repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codex_ml.audit.model import STATUSES
from codex_ml.errors import DataError


def load_report(path: Path) -> dict[str, Any]:
    """An earlier report's JSON. Raises DataError for what is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = found["snapshot"]["capabilities"]
        assert isinstance(rows, list)
        assert isinstance(found["snapshot"]["findings"], list)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise DataError(
            f"{path} is no report of an audit",
            code="audit.report",
            got=f"{type(error).__name__}: {error}"[:200],
            wanted="the JSON that `codex-ml audit --format json` writes",
            next_step="name the .json file, not the .md",
        ) from error
    report: dict[str, Any] = found
    return report


def delta(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Rows whose status or gaps changed, findings that are new or gone, tests more or fewer."""
    old = {row["id"]: row for row in before["snapshot"]["capabilities"]}
    changes = []
    for row in after["snapshot"]["capabilities"]:
        past = old.get(row["id"])
        if past is None:
            changes.append(f"{row['name']}: new in this report ({row['status']})")
        elif past["status"] != row["status"]:
            word = "better" if STATUSES.index(row["status"]) < STATUSES.index(past["status"]) else "worse"
            changes.append(f"{row['name']}: {past['status']} -> {row['status']} ({word})")
        else:
            changes += [f"{row['name']}: closed: {gap}" for gap in past["gaps"] if gap not in row["gaps"]]
            changes += [f"{row['name']}: opened: {gap}" for gap in row["gaps"] if gap not in past["gaps"]]
    one, two = _keys(before), _keys(after)
    tests = [report["snapshot"]["repo_map"]["tests"] for report in (before, after)]
    return {
        "since": {
            "date": before["metadata"]["date"],
            "commit": (before["metadata"]["git_context"] or {}).get("commit_sha"),
        },
        "code_changes": changes,
        "findings_new": sorted(two - one),
        "findings_gone": sorted(one - two),
        "tests_coverage_delta": tests[1] - tests[0],
        "risks_delta": len(two) - len(one),
    }


def _keys(report: Mapping[str, Any]) -> set[str]:
    return {key for row in report["snapshot"]["findings"] for key in row["keys"]}
