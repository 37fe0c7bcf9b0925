"""The JSON of an audit as the digest reads it: its rows, whatever their cells hold, and the checks on it."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from codex_ml.core.markdown import one_line
from codex_ml.core.redact import redact_value
from codex_ml.errors import DataError

#: What stands in a command has to look like this; all else of a report is text.
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,120}")


@dataclass(frozen=True)
class AuditReport:
    """Where the report and the repository are, and what it says."""

    path: str
    report: str
    snapshot: Mapping[str, Any]
    patches: list[dict[str, Any]]
    #: The day of a report without a commit to take it from.
    date: str | None = None

    @property
    def again(self) -> str:
        """The next audit, with what changed since this one."""
        return f"codex-ml audit {shlex.quote(self.path)} --since {shlex.quote(self.report)}{self._day}"

    def check(self, *, gone: Sequence[str] = (), require: Sequence[str] = ()) -> str | None:
        """The command that fails while one of *gone* is there, or a row of *require* is not Implemented."""
        words = [
            *(f"--gone {name}" for name in dict.fromkeys(gone)),
            *(f"--require {name}" for name in dict.fromkeys(require)),
        ]
        if not words:
            return None
        return f"codex-ml audit {shlex.quote(self.path)} {' '.join(words)}{self._day} --json"

    @property
    def _day(self) -> str:
        return f" --date {self.date}" if self.date else ""

    def package(self) -> Path | None:
        """The import package of the repository, where it is one that `codex-ml scaffold` can add to."""
        root = Path(self.path)
        try:
            project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project")
        except (OSError, ValueError):
            return None
        name = project.get("name") if isinstance(project, dict) else None
        if not isinstance(name, str):
            return None
        named = re.sub(r"[-.]+", "_", name).lower()
        found = (base / named for base in (root / "src", root) if named.isidentifier())
        return next((folder for folder in found if (folder / "__init__.py").is_file()), None)


def read_report(text: str, report: str, repository: str) -> AuditReport:
    """The audit report *text*, a file called *report*, redacted. Raises DataError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise no_report(report, str(error)) from error
    snapshot = value.get("snapshot") if isinstance(value, dict) else None
    if not isinstance(snapshot, dict):
        raise no_report(report, "no object 'snapshot'")
    value = redact_value(value)
    metadata = value.get("metadata") or {}
    undated = isinstance(metadata, dict) and "git_context" in metadata and metadata["git_context"] is None
    day = _date(metadata.get("date")) if undated else None
    return AuditReport(repository, report, value["snapshot"], rows(value, "patches"), day)


def _date(value: Any) -> str | None:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        return None


def no_report(report: str, got: str) -> DataError:
    """The error for a file that is no report."""
    return DataError(
        f"{report} is no report of an audit",
        code="digest.audit",
        got=got,
        wanted="the JSON of `codex-ml audit PATH --format json`",
        next_step="write one with: codex-ml audit PATH --out DIR",
    )


def name_of(value: Any) -> str | None:
    """*value* where it is a name that may stand in a command."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def rows(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list; none where it is no list."""
    found = value.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def words(value: Any) -> str:
    """The text of a cell, which may be a list."""
    if isinstance(value, list):
        return "; ".join(words(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {words(item)}" for key, item in value.items())
    return "" if value is None else one_line(str(value))


def first(value: Any) -> str:
    """The first item of a cell, and how many follow."""
    if isinstance(value, list) and value:
        return words(value[0]) + (f" (and {len(value) - 1} more)" if len(value) > 1 else "")
    return words(value)


def places(value: Any) -> list[str]:
    """``path:line`` of each piece of evidence, where it has them; else its words."""
    found = []
    for row in value if isinstance(value, list) else [value]:
        if isinstance(row, dict) and row.get("path"):
            line = f":{row['line']}" if row.get("line") else ""
            found.append(f"{row['path']}{line}")
        elif row is not None:
            found.append(words(row))
    return list(dict.fromkeys(found))


def severity(row: Mapping[str, Any]) -> int:
    """How bad it is, 5 is worst; 0 where the row does not say."""
    value = row.get("severity")
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
