"""The findings as SARIF 2.1.0, which code hosts and editors show beside the lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from codex_ml.audit.audit import Audit
from codex_ml.audit.model import Finding
from codex_ml.core.digest import digest_bytes

_LEVELS = {"info": "note", "low": "note", "medium": "warning", "high": "error", "critical": "error"}
_SCORES = {"info": "1.0", "low": "3.0", "medium": "5.0", "high": "7.5", "critical": "9.5"}


def render_sarif(audit: Audit, report: Mapping[str, Any]) -> dict[str, Any]:
    """One run with every finding, those set aside in the code as suppressed ones."""
    rules = [
        {
            "id": rule.id,
            "name": re.sub(r"\W+", "", rule.title.title()),
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "defaultConfiguration": {"level": _LEVELS[rule.severity]},
            "properties": {"security-severity": _SCORES[rule.severity]},
        }
        for rule in audit.rules
    ]
    seen: Counter[str] = Counter()
    results = [_result(one, seen) for one in audit.findings]
    for one in audit.suppressed:
        reason = [{"kind": "inSource", "justification": one.reason}]
        results.append({**_result(one.finding, seen), "suppressions": reason})
    driver = {
        "name": "codex-ml audit",
        "version": report["metadata"]["generator"].split()[-1],
        "rules": rules,
    }
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(one: Finding, seen: Counter[str]) -> dict[str, Any]:
    """*seen*: how often its key stood before, so that equal findings of one file keep apart."""
    key = f"{one.key()}#{seen[one.key()]}" if seen[one.key()] else one.key()
    seen[one.key()] += 1
    path = one.evidence.path.partition("#")[0]
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(path), "uriBaseId": "%SRCROOT%"}}
    if one.evidence.line and "#" not in one.evidence.path:  # a cell's lines are none of the file's
        place["region"] = {"startLine": one.evidence.line}
    return {
        "ruleId": one.rule,
        "level": _LEVELS[one.severity],
        "message": {"text": f"{one.message}. {one.action[:1].upper()}{one.action[1:]}."},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"codexMl/v1": digest_bytes(key.encode("utf-8", "replace"))},
    }
