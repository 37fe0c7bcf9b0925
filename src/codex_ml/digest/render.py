"""The digest for people: what failed first and why, blocks, plan. The same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex_ml.digest.analyse import Digest
from codex_ml.digest.blocks import block_record, fenced, one_line, render_record
from codex_ml.digest.plan import Plan
from codex_ml.digest.tasks import Task

#: Blocks that the page shows; ``--json`` has them all.
MOST_SHOWN = 20
_LINKS = {
    "cause": "direct cause of",
    "context": "while it was handled came",
    "member": "one of the exceptions of",
    "then": "then",
}


def digest_record(digest: Digest | None, plan: Plan) -> dict[str, Any]:
    """Everything as one JSON object."""
    record: dict[str, Any] = {"plan": plan.record(), "failure": None, "errors": [], "notes": []}
    if digest is None:
        return record
    counted = digest.counted
    record |= {
        "kind": digest.kind,
        "input": {
            "name": plan.source,
            "bytes": counted.bytes,
            "lines": counted.lines,
            "sha256": counted.sha256,
        },
        "failure": _failure_record(digest),
        "errors": [block_record(block, ts=plan.date) for block in digest.blocks],
        "handled": digest.handled,
        "notes": list(digest.notes),
    }
    return record


def _failure_record(digest: Digest) -> dict[str, Any] | None:
    failure = digest.failure
    if failure is None:
        return None
    return {
        "kind": failure.kind,
        "line": failure.line,
        "step": failure.step,
        "step_number": failure.number,
        "subject": failure.subject,
        "command": failure.command,
        "root_cause": failure.root.text,
        "place": failure.root.place,
        "chain": [{"text": cause.text, "place": cause.place, "link": cause.link} for cause in failure.causes],
        "notes": list(failure.notes),
    }


def render_digest(digest: Digest | None, plan: Plan) -> str:
    """The page ``.codex_digest.md``."""
    lines = [f"# {plan.title}", ""]
    if plan.date:
        lines += [f"Date: {plan.date}", ""]
    lines += [f"Input: `{plan.source}` ({plan.kind}, sha256 `{plan.sha256[:16]}`)", ""]
    if digest is not None:
        lines += _failure(digest)
        lines += _blocks(digest, plan.date)
    lines += render_plan(plan)
    return "\n".join(lines).rstrip() + "\n"


def _failure(digest: Digest) -> list[str]:
    failure = digest.failure
    lines = ["## First failure", ""]
    if failure is None:
        said = "The input is empty." if digest.kind == "empty" else "Nothing in the input failed."
        more = (
            f" {digest.handled} warnings, retries or expected failures were handled."
            if digest.handled
            else ""
        )
        lines.append(f"{said}{more}")
    else:
        what = f" of `{failure.subject}`" if failure.subject else ""
        where = f" in step {failure.number} (`{failure.step}`)" if failure.step else ""
        lines += [f"A {failure.kind} failure{what}, at line {failure.line}{where}. Root cause first:", ""]
        for at, cause in enumerate(failure.causes, 1):
            place = f" (`{cause.place}`)" if cause.place else ""
            link = f" — {_LINKS[cause.link]}:" if at < len(failure.causes) else ""
            lines.append(f"{at}. `{_code(cause.text)}`{place}{link}")
        lines += ["", fenced(failure.root.text)] if "\n" in failure.root.text else []
    if digest.notes:
        lines += ["", *(f"- {note}" for note in digest.notes)]
    return [*lines, ""]


def _code(text: str) -> str:
    """The first line of *text* for inline code."""
    return one_line((text.strip().splitlines() or [""])[0]).replace("`", "'")[:300]


def _blocks(digest: Digest, date: str | None) -> list[str]:
    lines = ["## Error capture blocks", ""]
    if not digest.blocks:
        return [*lines, "None.", ""]
    for block in digest.blocks[:MOST_SHOWN]:
        lines += [render_record(block_record(block, ts=date)), ""]
    if len(digest.blocks) > MOST_SHOWN:
        lines += [f"{len(digest.blocks) - MOST_SHOWN} more are in the store and in `--json`.", ""]
    return lines


def render_plan(plan: Plan) -> list[str]:
    """The plan as a list that can be ticked, and that `codex-ml digest` reads again."""
    lines = ["## Plan", ""]
    if not plan.tasks:
        return [*lines, "Nothing to do.", ""]
    for task in plan.tasks:
        lines += _task(task)
    return [*lines, ""]


def _task(task: Task) -> list[str]:
    mark = "x" if task.status == "done" else " "
    lines = [f"- [{mark}] **{task.id}**: {_safe(task.title)}"]
    if task.depends_on:
        lines.append(f"  - after: {', '.join(task.depends_on)}")
    lines += [f"  - run: `{command}`" for command in task.commands]
    lines.append(f"  - check: {one_line(task.check.text)}")
    if task.why:
        lines.append(f"  - why: {one_line(task.why)}")
    if task.evidence:
        lines.append(f"  - evidence: {'; '.join(task.evidence)}")
    if task.result is not None:
        lines += _result(task.result)
    return lines


def _safe(title: str) -> str:
    return one_line(title).replace("`", "'")


def _result(result: Mapping[str, Any]) -> list[str]:
    reason = f": {one_line(str(result['reason']))}" if result["reason"] else ""
    lines = [f"  - result: {result['outcome']}{reason}"]
    for row in result["commands"]:
        code = "" if row["exit_code"] is None else f" (exit {row['exit_code']})"
        lines.append(f"    - `{row['command']}`: {row['outcome']}{code}")
    return lines


def render_list(records: list[dict[str, Any]]) -> str:
    """The page of `errors export`."""
    parts = ["# Error capture blocks"]
    parts += [render_record(record) for record in records] or ["None."]
    return "\n\n".join(parts) + "\n"
