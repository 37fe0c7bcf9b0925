"""A secret scan that is compared with a baseline."""

from __future__ import annotations

import json
from collections.abc import Iterator

from codex_ml.audit.audit import Audit
from codex_ml.audit.patching import Edit, exact_text

_FILE = ".secrets.baseline"
_PLUGINS = (
    *("AWSKeyDetector", "BasicAuthDetector", "GitHubTokenDetector", "JwtTokenDetector", "KeywordDetector"),
    *("PrivateKeyDetector", "SlackDetector"),
)


def make(audit: Audit) -> Iterator[Edit]:
    """One patch: the argument of the hook, and the baseline where there is none."""
    for one in audit.findings:
        path = one.evidence.path
        text = exact_text(audit.tree.root, path) if one.rule == "secret-baseline" else None
        if text is None:
            continue
        rows = text.split("\n")
        row = rows[one.evidence.line - 1]
        indent = " " * (len(row) - len(row.lstrip()) + 2)
        end = "\r" if row.endswith("\r") else ""
        rows.insert(one.evidence.line, f'{indent}args: ["--baseline", "{_FILE}"]{end}')
        files: dict[str, tuple[str | None, str]] = {path: (text, "\n".join(rows))}
        if not (audit.tree.root / _FILE).exists():
            files[_FILE] = (None, _empty())
        yield Edit(
            "Compare the secret scan with a baseline",
            files,
            why="known false alarms hide the new secret",
            risk="an alarm in the baseline is never heard again: review what is added",
            validation="pre-commit run detect-secrets --all-files; detect-secrets scan --baseline updates it",
            rule="secret-baseline",
        )


def _empty() -> str:
    """A baseline of detect-secrets that knows nothing yet."""
    body = {
        "version": "1.5.0",
        "plugins_used": [{"name": name} for name in _PLUGINS],
        "filters_used": [{"path": "detect_secrets.filters.allowlist.is_line_allowlisted"}],
        "results": {},
        "generated_at": "1970-01-01T00:00:00Z",
    }
    return json.dumps(body, indent=2) + "\n"
