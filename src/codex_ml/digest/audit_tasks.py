"""From the JSON of an audit to tasks: its patches, its gaps, and the audit that shows the difference."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codex_ml.core.redact import redact_value
from codex_ml.digest.blocks import one_line
from codex_ml.digest.tasks import Check, Task
from codex_ml.errors import DataError

#: What `codex-ml scaffold` makes, by words in the names of capabilities that lack it.
_SCAFFOLDS = (
    ("token", "tokenizer"),
    ("metric", "metric"),
    ("evaluation", "metric"),
    ("model", "model"),
    ("data", "data-source"),
    ("track", "tracker"),
    ("extens", "plugin"),
    ("reward", "reward"),
)
_SCAFFOLD_WORD = re.compile(
    r"scaffold[ _-]+(tokenizer|metric|model|data-source|reward|agent|tracker|callback|rule|plugin)\b"
)


@dataclass(frozen=True)
class _Audit:
    """Where the report is, and what it is about."""

    path: str
    report: str
    snapshot: Mapping[str, Any]
    patches: list[dict[str, Any]]
    #: The day of a report without a commit to take it from.
    date: str | None = None

    @property
    def again(self) -> str:
        day = f" --date {shlex.quote(self.date)}" if self.date else ""
        return f"codex-ml audit {shlex.quote(self.path)} --since {shlex.quote(self.report)}{day}"


def audit_tasks(text: str, *, report: str, repository: str = ".") -> tuple[Task, ...]:
    """The tasks that the audit report *text*, a file called *report*, asks for. Raises DataError.

    *repository* is where the audited tree lies; a report tells its name only.

    Patches first, then gaps and findings, the most severe first (5 is worst); at last the audit again.
    """
    audit = _read(text, report, repository)
    patches = [_patch_task(audit, at, patch) for at, patch in enumerate(audit.patches, 1)]
    gaps = [
        _gap_task(audit, row, at)
        for at, row in enumerate(_rows(audit.snapshot, "capabilities"), 1)
        if row.get("status") != "Implemented"
    ]
    findings = [_finding_task(audit, row, at) for at, row in enumerate(_rows(audit.snapshot, "findings"), 1)]
    rated = sorted([*gaps, *findings], key=lambda row: -row[0])
    tasks = [*patches, *(task for _, task in rated)]
    if not tasks:
        return ()
    last = Task(
        id="audit-again",
        title="Audit again and read the delta",
        check=Check(f"`{audit.again}` lists no gap of this plan any more", audit.again),
        group="Verification",
        depends_on=tuple(task.id for task in tasks),
        commands=(audit.again,),
        why="closes the loop: the delta names what changed",
    )
    return (*tasks, last)


def _read(text: str, report: str, repository: str) -> _Audit:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _no_report(report, str(error)) from error
    snapshot = value.get("snapshot") if isinstance(value, dict) else None
    if not isinstance(snapshot, dict):
        raise _no_report(report, "no object 'snapshot'")
    value = redact_value(value)
    metadata = value.get("metadata") or {}
    undated = isinstance(metadata, dict) and "git_context" in metadata and metadata["git_context"] is None
    day = str(metadata.get("date")) if undated else None
    return _Audit(repository, report, value["snapshot"], _rows(value, "patches"), day)


def _no_report(report: str, got: str) -> DataError:
    return DataError(
        f"{report} is no report of an audit",
        code="digest.audit",
        got=got,
        wanted="the JSON of `codex-ml audit PATH --format json`",
        next_step="write one with: codex-ml audit PATH --out DIR",
    )


def _rows(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    rows = value.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _words(value: Any) -> str:
    """The text of a cell, which may be a list."""
    if isinstance(value, list):
        return "; ".join(_words(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_words(item)}" for key, item in value.items())
    return "" if value is None else one_line(str(value))


def _first(value: Any) -> str:
    """The first item of a cell, and how many follow."""
    if isinstance(value, list) and value:
        return _words(value[0]) + (f" (and {len(value) - 1} more)" if len(value) > 1 else "")
    return _words(value)


def _places(value: Any) -> list[str]:
    """``path:line`` of each piece of evidence, where it has them; else its words."""
    rows = value if isinstance(value, list) else [value]
    found = []
    for row in rows:
        if isinstance(row, dict) and row.get("path"):
            line = f":{row['line']}" if row.get("line") else ""
            found.append(f"{row['path']}{line}")
        elif row is not None:
            found.append(_words(row))
    return list(dict.fromkeys(found))


def _patch_task(audit: _Audit, at: int, patch: dict[str, Any]) -> Task:
    files = _files(patch)
    number = patch.get("id") or at  # a number is another patch's once the one before it is applied
    return Task(
        id=f"patch-{at}",
        title=f"Apply the patch: {_words(patch.get('title')) or ', '.join(files) or number}",
        check=_check(audit, "the finding that it answers"),
        group="Patches",
        commands=(f"codex-ml audit {shlex.quote(audit.path)} --apply {number}",),
        why=_words(patch.get("why"))
        + (f"; rollback: {_words(patch['rollback'])}" if patch.get("rollback") else ""),
        evidence=(*files, *([_words(patch["validation"])] if patch.get("validation") else [])),
    )


def _check(audit: _Audit, what: str) -> Check:
    return Check(f"`{audit.again}` no longer lists {what}", audit.again)


def _answers(audit: _Audit, row: Mapping[str, Any]) -> tuple[str, ...]:
    """The patches that say they answer this row, or change a file that it names."""
    names = {str(row[key]) for key in ("rule", "id", "name", "title") if row.get(key)}
    named = _words([row.get("artifacts"), row.get("evidence"), row.get("gaps")])
    found = []
    for at, patch in enumerate(audit.patches, 1):
        fixes = {_words(patch.get(key)) for key in ("rule", "fixes", "capability", "finding")}
        touches = "rule" not in patch and any(_stands_in(path, named) for path in _files(patch))
        if names & fixes or touches:
            found.append(f"patch-{at}")
    return tuple(found)


def _files(patch: Mapping[str, Any]) -> list[str]:
    paths = patch.get("paths")
    return [str(path) for path in paths] if isinstance(paths, list) else []


def _stands_in(path: str, text: str) -> bool:
    return re.search(rf"(?<![\w/.-]){re.escape(path)}(?![\w/-])", text) is not None


def _gap_task(audit: _Audit, row: dict[str, Any], at: int) -> tuple[int, Task]:
    name = _words(row.get("name") or row.get("id")) or f"capability {at}"
    status, gaps, plan = _words(row.get("status")), _words(row.get("gaps")), _words(row.get("patch_plan"))
    answers = _answers(audit, row)
    task = Task(
        id=f"capability-{row.get('id') or at}",
        title=f"{name}: {_first(row.get('patch_plan')) or _first(row.get('gaps')) or 'close the gap'}",
        check=_check(audit, f"'{name}' as {status or 'incomplete'}"),
        group="Capabilities",
        depends_on=answers,
        commands=_scaffold(row, status, f"{gaps} {plan}") if not answers else (),
        why=f"{status}: {gaps}"
        + "".join(
            f"; {key.replace('_', ' ')}: {_words(row[key])}"
            for key in ("patch_plan", "rollback")
            if row.get(key)
        ),
        evidence=tuple(_places(row.get("artifacts"))),
    )
    return _severity(row), task


def _scaffold(row: Mapping[str, Any], status: str, text: str) -> tuple[str, ...]:
    """The command that makes what is missing, where a scaffold does."""
    kind = found[1] if (found := _SCAFFOLD_WORD.search(text)) else None
    if kind is None and status in ("Missing", "Stubbed"):
        name = f"{row.get('id') or ''} {row.get('name') or ''}".lower()
        kind = next((kind for word, kind in _SCAFFOLDS if word in name), None)
    return (f"codex-ml scaffold {kind} my_{kind.replace('-', '_')}",) if kind else ()


def _finding_task(audit: _Audit, row: dict[str, Any], at: int) -> tuple[int, Task]:
    title = _words(row.get("title")) or f"finding {at}"
    action = _words(row.get("proposed_action"))
    task = Task(
        id=f"finding-{at}",
        title=f"{title}: {action}" if action else title,
        check=_check(audit, f"'{title}'"),
        group="Findings",
        depends_on=_answers(audit, row),
        why=_words(row.get("impact")),
        evidence=tuple(_places(row.get("evidence"))),
    )
    return _severity(row), task


def _severity(row: Mapping[str, Any]) -> int:
    value = row.get("severity")
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
