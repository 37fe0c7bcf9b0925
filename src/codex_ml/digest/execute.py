"""Run the allowed commands and checks of a plan: no shell, a time limit, up to the first failure."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from codex_ml.core.programs import last_of, run_program
from codex_ml.core.redact import redact_text
from codex_ml.digest.allowed import Rules, argv_of
from codex_ml.digest.analyse import Digest, digest_log
from codex_ml.digest.plan import Plan
from codex_ml.digest.tasks import Task
from codex_ml.errors import DataError

_log = logging.getLogger(__name__)
_KEPT = 1 << 15


@dataclass(frozen=True, slots=True)
class Executed:
    """The plan with its results, and what the output of a failed command says."""

    plan: Plan
    failed: bool
    digest: Digest | None


def execute(plan: Plan, rules: Rules) -> Executed:
    """Run the open tasks of *plan* in its order, up to the first failure.

    A task is done when its commands and its acceptance check end with 0. One without commands is for people:
    only its check is run, and says whether they did it. What depends on a task that is not done is not run.
    """
    outcome: dict[str, str] = {}
    tasks: list[Task] = []
    digest: Digest | None = None
    failed = False
    for task in plan.tasks:
        result: dict[str, Any] | None = None
        if task.status == "done":
            outcome[task.id] = "done"
        elif failed:
            result = _result("not reached", "a task before it failed")
        elif waiting := [name for name in task.depends_on if outcome[name] != "done"]:
            result = _result("blocked", f"waits for {', '.join(waiting)}")
        else:
            result, digest = _run_task(task, rules)
            failed = result["outcome"] == "failed"
        if result is not None:
            outcome[task.id] = str(result["outcome"])
            task = replace(task, result=result, status="done" if result["outcome"] == "done" else task.status)
        tasks.append(task)
    return Executed(replace(plan, tasks=tuple(tasks)), failed, digest if failed else None)


def _result(outcome: str, reason: str, commands: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"outcome": outcome, "reason": reason, "commands": list(commands)}


def _run_task(task: Task, rules: Rules) -> tuple[dict[str, Any], Digest | None]:
    """Its commands, then its check unless that is the last of them; nothing where one of them may not run."""
    check = task.check.command
    wanted = [*task.commands, *([check] if check and check not in task.commands[-1:] else [])]
    if not task.commands and (check is None or isinstance(argv_of(check, rules), str)):
        return _result("manual", "no command; to be done by a person"), None
    for command in wanted:
        words = argv_of(command, rules)
        if isinstance(words, str):
            how, _, why = words.partition(": ")
            return _result("skipped", f"{command}: {why}", [_row(command, how, None, why)]), None
    rows: list[dict[str, Any]] = []
    for at, command in enumerate(wanted):
        _log.info("running %s", redact_text(command))
        row, digest = _run(command, rules)
        rows.append(row)
        if row["outcome"] != "done":
            if not task.commands:
                return _result("manual", "no command, and its check does not pass yet", rows), None
            what = "its check, " if at == len(task.commands) else ""
            return _result("failed", f"{what}{command}: {row['outcome']}", rows), digest
    return _result("done", "", rows), None


def _row(command: str, outcome: str, code: int | None, output: str) -> dict[str, Any]:
    return {"command": command, "outcome": outcome, "exit_code": code, "output": output}


def _run(command: str, rules: Rules) -> tuple[dict[str, Any], Digest | None]:
    words = argv_of(command, rules)
    assert not isinstance(words, str), "commands are looked at before the first of them runs"
    if words[0] == "codex-ml":  # -P: the folder that it runs in holds no modules of this program
        words = [sys.executable, "-P", "-m", "codex_ml", *words[1:]]
    elif words[0] == "python":
        words[0] = sys.executable
    with tempfile.TemporaryFile() as output:
        try:
            code = run_program(words, cwd=rules.cwd, seconds=rules.timeout, output=output)
        except OSError as error:
            return _row(command, "not found", None, redact_text(str(error))), None
        outcome = "timed out" if code is None else "failed" if code else "done"
        digest = _digest(output) if outcome != "done" else None
        return _row(command, outcome, code, last_of(output, _KEPT)), digest


def _digest(output: IO[bytes]) -> Digest | None:
    output.seek(0)
    try:
        return digest_log(output)  # type: ignore[arg-type]
    except DataError as error:
        _log.warning("the output was not read: %s", error)
        return None
