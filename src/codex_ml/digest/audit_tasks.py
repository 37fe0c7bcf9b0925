"""From the JSON of an audit to tasks: its patches, its gaps, and the audit that shows the difference."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from codex_ml.digest.audit_report import (
    AuditReport,
    first,
    name_of,
    no_report,
    places,
    read_report,
    rows,
    severity,
    words,
)
from codex_ml.digest.tasks import Check, Task

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


def audit_tasks(text: str, *, report: str, repository: str = ".") -> tuple[Task, ...]:
    """The tasks that the audit report *text*, a file called *report*, asks for. Raises DataError.

    *repository* is where the audited tree lies; a report tells its name only.

    Patches first, then scaffolds, then gaps and findings, the most severe first; at last the audit again. The
    check of each fails while the audit still finds what the task is about.
    """
    audit = read_report(text, report, repository)
    patches = [_patch_task(audit, at, patch) for at, patch in enumerate(audit.patches, 1)]
    open_rows = [row for row in rows(audit.snapshot, "capabilities") if row.get("status") != "Implemented"]
    found = rows(audit.snapshot, "findings")
    scaffolds = _scaffolds(audit, open_rows)
    gaps = [(severity(row), _gap_task(audit, row, at, scaffolds)) for at, row in enumerate(open_rows, 1)]
    findings = [(severity(row), _finding_task(audit, row, at)) for at, row in enumerate(found, 1)]
    rated = sorted([*gaps, *findings], key=lambda row: -row[0])
    tasks = [*patches, *scaffolds.values(), *(task for _, task in rated)]
    return (*tasks, _last(audit, open_rows, found, tasks)) if tasks else ()


def _last(
    audit: AuditReport, gaps: list[dict[str, Any]], findings: list[dict[str, Any]], tasks: list[Task]
) -> Task:
    names = [name for row in gaps if (name := name_of(row.get("id")))]
    rules = [rule for row in findings if (rule := name_of(row.get("rule")))]
    return Task(
        id="audit-again",
        title="Audit again and read the delta",
        check=Check(
            "the audit has no gap and no finding of this plan", audit.check(gone=rules, require=names)
        ),
        group="Verification",
        depends_on=tuple(task.id for task in tasks),
        commands=(audit.again,),
        why="closes the loop: the delta names what changed",
    )


def _patch_task(audit: AuditReport, at: int, patch: dict[str, Any]) -> Task:
    files = _files(patch)
    name = name_of(patch.get("id"))
    if patch.get("id") is not None and name is None:
        raise no_report(audit.report, f"patch {at} has the id {str(patch['id'])[:80]!r}, which is none")
    number = name or at  # a number is another patch's once the one before it is applied
    return Task(
        id=f"patch-{at}",
        title=f"Apply the patch: {words(patch.get('title')) or ', '.join(files) or number}",
        check=Check("the audit has no use for the patch any more", audit.check(gone=[name] if name else [])),
        group="Patches",
        commands=(f"codex-ml audit {shlex.quote(audit.path)} --apply {number}",),
        why=words(patch.get("why"))
        + (f"; rollback: {words(patch['rollback'])}" if patch.get("rollback") else ""),
        evidence=(*files, *([words(patch["validation"])] if patch.get("validation") else [])),
    )


def _answers(audit: AuditReport, row: Mapping[str, Any]) -> tuple[str, ...]:
    """The patches that say they answer this row, or change a file that it names."""
    names = {str(row[key]) for key in ("rule", "id", "name", "title") if row.get(key)}
    named = words([row.get("artifacts"), row.get("evidence"), row.get("gaps")])
    found = []
    for at, patch in enumerate(audit.patches, 1):
        fixes = {words(patch.get(key)) for key in ("rule", "fixes", "capability", "finding")}
        touches = "rule" not in patch and any(_stands_in(path, named) for path in _files(patch))
        if names & fixes or touches:
            found.append(f"patch-{at}")
    return tuple(found)


def _files(patch: Mapping[str, Any]) -> list[str]:
    paths = patch.get("paths")
    return [str(path) for path in paths] if isinstance(paths, list) else []


def _stands_in(path: str, text: str) -> bool:
    return re.search(rf"(?<![\w/.-]){re.escape(path)}(?![\w/-])", text) is not None


def _scaffolds(audit: AuditReport, gaps: list[dict[str, Any]]) -> dict[str, Task]:
    """By kind, a task for each part that a scaffold makes, where the repository is a package to put it in."""
    package = audit.package()
    found: dict[str, Task] = {}
    for row in gaps if package else ():
        kind = _kind(row) if not _answers(audit, row) else None
        name = f"my_{kind}".replace("-", "_")
        if kind is None or kind == "plugin" or kind in found:  # a plugin is a package of its own
            continue
        if package and (package / f"{name}.py").exists():
            continue
        folder = shlex.quote(audit.path)
        check = f"codex-ml scaffold --check --dir {folder}"
        found[kind] = Task(
            id=f"scaffold-{kind}",
            title=f"Make a {kind} with its test, to begin from",
            check=Check("what was made is there as it was made", check),
            group="Scaffolds",
            commands=(f"codex-ml scaffold {kind} {name} --dir {folder}",),
            why=f"{words(row.get('name'))} is {words(row.get('status'))}",
        )
    return found


def _kind(row: Mapping[str, Any]) -> str | None:
    """What a scaffold would make for the row, if one would."""
    if said := _SCAFFOLD_WORD.search(f"{words(row.get('gaps'))} {words(row.get('patch_plan'))}"):
        return said[1]
    if row.get("status") not in ("Missing", "Stubbed"):
        return None
    name = f"{words(row.get('id'))} {words(row.get('name'))}".lower()
    return next((kind for word, kind in _SCAFFOLDS if word in name), None)


def _gap_task(audit: AuditReport, row: dict[str, Any], at: int, scaffolds: Mapping[str, Task]) -> Task:
    name = words(row.get("name") or row.get("id")) or f"capability {at}"
    status, row_id = words(row.get("status")), name_of(row.get("id"))
    kind = _kind(row)
    made = (scaffolds[kind].id,) if kind and kind in scaffolds else ()
    why = f"{status}: {words(row.get('gaps'))}"
    for key in ("patch_plan", "rollback"):
        why += f"; {key.replace('_', ' ')}: {words(row[key])}" if row.get(key) else ""
    if kind and not made:
        why += f"; codex-ml scaffold {kind} NAME --dir PACKAGE makes one to begin from, in a plugin package"
    return Task(
        id=f"capability-{row_id or at}",
        title=f"{name}: {first(row.get('patch_plan')) or first(row.get('gaps')) or 'close the gap'}",
        check=Check(
            f"the audit has '{name}' as Implemented", audit.check(require=[row_id] if row_id else [])
        ),
        group="Capabilities",
        depends_on=(*_answers(audit, row), *made),
        why=why,
        evidence=tuple(places(row.get("artifacts"))),
    )


def _finding_task(audit: AuditReport, row: dict[str, Any], at: int) -> Task:
    title = words(row.get("title")) or f"finding {at}"
    action = words(row.get("proposed_action"))
    rule = name_of(row.get("rule"))
    return Task(
        id=f"finding-{at}",
        title=f"{title}: {action}" if action else title,
        check=Check(f"the audit no longer finds '{title}'", audit.check(gone=[rule] if rule else [])),
        group="Findings",
        depends_on=_answers(audit, row),
        why=words(row.get("impact")),
        evidence=tuple(places(row.get("evidence"))),
    )
