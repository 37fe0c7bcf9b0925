"""The digest for people: what failed first and why, blocks, plan. The same input gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codex_ml.core.markdown import code_span, fenced, one_line
from codex_ml.digest.analyse import Digest
from codex_ml.digest.blocks import block_record, render_record
from codex_ml.digest.inline import literal, literal_but_code
from codex_ml.digest.plan import Plan
from codex_ml.digest.tasks import Check, Task

#: Blocks that the page shows; ``--json`` has them all.
MOST_SHOWN = 20
#: Ids that a list of tasks has without saying that they are ids.
_SHORT_ID = re.compile(r"[A-Za-z]{1,8}-?\d{1,6}")
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
    lines = [f"# {literal(plan.title)}", ""]
    if plan.date:
        lines += [f"Date: {plan.date}", ""]
    lines += [f"Input: {code_span(plan.source)} ({plan.kind}, sha256 `{plan.sha256[:16]}`)", ""]
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
        what = f" of {code_span(failure.subject)}" if failure.subject else ""
        number = (
            f"{failure.number} ({code_span(failure.step)})" if failure.number else code_span(failure.step)
        )
        where = f" in step {number}" if failure.step else ""
        lines += [f"A {failure.kind} failure{what}, at line {failure.line}{where}. Root cause first:", ""]
        for at, cause in enumerate(failure.causes, 1):
            place = f" ({code_span(cause.place)})" if cause.place else ""
            link = f" — {_LINKS[cause.link]}:" if at < len(failure.causes) else ""
            lines.append(f"{at}. {_first_line(cause.text)}{place}{link}")
        lines += ["", fenced(failure.root.text)] if "\n" in failure.root.text else []
    if digest.notes:
        lines += ["", *(f"- {note}" for note in digest.notes)]
    return [*lines, ""]


def _first_line(text: str) -> str:
    return code_span(one_line((text.strip().splitlines() or [""])[0])[:300])


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
    name = f"**{task.id}**:" if _SHORT_ID.fullmatch(task.id) else f"**id: {task.id}**"
    lines = [f"- [{mark}] {name} {literal(task.title)}"]
    if task.depends_on:
        lines.append(f"  - after: {', '.join(task.depends_on)}")
    lines += [f"  - run: {code_span(command)}" for command in task.commands]
    lines.append(f"  - check: {_check(task.check)}")
    if task.why:
        lines.append(f"  - why: {literal(task.why)}")
    if task.evidence:
        lines.append(f"  - evidence: {literal('; '.join(task.evidence))}")
    if task.result is not None:
        lines += _result(task.result)
    return lines


def _check(check: Check) -> str:
    text = literal_but_code(check.text)
    shown = check.command is None or check.command in check.text
    return text if shown else f"{text} ({code_span(str(check.command))})"


def _result(result: Mapping[str, Any]) -> list[str]:
    reason = f": {literal(str(result['reason']))}" if result["reason"] else ""
    lines = [f"  - result: {result['outcome']}{reason}"]
    for row in result["commands"]:
        code = "" if row["exit_code"] is None else f" (exit {row['exit_code']})"
        lines.append(f"    - {literal(row['command'])}: {row['outcome']}{code}")
    return lines


def render_list(records: list[dict[str, Any]]) -> str:
    """The page of `errors export`."""
    parts = ["# Error capture blocks"]
    parts += [render_record(record) for record in records] or ["None."]
    return "\n\n".join(parts) + "\n"
