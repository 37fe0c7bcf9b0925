"""What changed since another report of the same repository."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codex_ml.audit.model import STATUSES
from codex_ml.audit.report import VERSION, report_schema
from codex_ml.core.optional import require
from codex_ml.errors import DataError


def load_report(path: Path) -> dict[str, Any]:
    """An earlier report's JSON. Raises DataError for what is none, or is of another version."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _no_report(path, f"{type(error).__name__}: {error}") from error
    version = found.get("metadata", {}).get("report_version") if _is_table(found) else None
    if isinstance(version, str | int) and version != VERSION:
        raise DataError(
            f"{path} is a report of another version",
            code="audit.report",
            got=str(version)[:40],
            wanted=VERSION,
            next_step="make it again with this version from that commit",
        )
    validator: Any = require("jsonschema", extra="audit").Draft202012Validator(report_schema())
    fault: Any = next(iter(validator.iter_errors(found)), None)
    if fault is not None:
        raise _no_report(path, f"{fault.json_path}: {fault.message}")
    report: dict[str, Any] = found
    return report


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("metadata", {}), dict)


def _no_report(path: Path, got: str) -> DataError:
    return DataError(
        f"{path} is no report of an audit",
        code="audit.report",
        got=got[:200],
        wanted="the JSON that `codex-ml audit --format json` writes",
        next_step="name the .json file, not the .md",
    )


def delta(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Rows, gaps and boxes that changed, findings that are new or gone, tests more or fewer.

    A finding that stands several times is counted. Raises DataError for reports of two repositories.
    """
    names = [report["metadata"]["repository"] for report in (before, after)]
    if names[0] != names[1]:
        raise DataError(
            "the earlier report is of another repository",
            code="audit.report",
            got=str(names[0])[:100],
            wanted=names[1],
            next_step="give --since a report of this repository",
        )
    old, new = _keys(before), _keys(after)
    tests = [report["snapshot"]["repo_map"]["tests"] for report in (before, after)]
    return {
        "since": {
            "date": before["metadata"]["date"],
            "commit": (before["metadata"]["git_context"] or {}).get("commit_sha"),
        },
        "code_changes": [*_rows(before, after), *_boxes(before, after)],
        "findings_new": sorted((new - old).elements()),
        "findings_gone": sorted((old - new).elements()),
        "tests_coverage_delta": tests[1] - tests[0],
        "risks_delta": new.total() - old.total(),
    }


def _rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old = {row["id"]: row for row in before["snapshot"]["capabilities"]}
    changes = []
    for row in after["snapshot"]["capabilities"]:
        past = old.get(row["id"])
        if past is None:
            changes.append(f"{row['name']}: new in this report ({row['status']})")
            continue
        if past["status"] != row["status"]:
            word = "better" if STATUSES.index(row["status"]) < STATUSES.index(past["status"]) else "worse"
            changes.append(f"{row['name']}: {past['status']} -> {row['status']} ({word})")
        changes += [f"{row['name']}: closed: {gap}" for gap in past["gaps"] if gap not in row["gaps"]]
        changes += [f"{row['name']}: opened: {gap}" for gap in row["gaps"] if gap not in past["gaps"]]
    return changes


def _boxes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old = {one["id"]: one["status"] for one in before["snapshot"]["repro"]["registry"]}
    return [
        f"{one['control']}: {old[one['id']]} -> {one['status']}"
        for one in after["snapshot"]["repro"]["registry"]
        if one["id"] in old and old[one["id"]] != one["status"]
    ]


def _keys(report: Mapping[str, Any]) -> Counter[str]:
    return Counter(key for row in report["snapshot"]["findings"] for key in row["keys"])
