"""Run the commands of a plan that are on an exact list: no shell, a time limit, stop at the first failure."""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

from codex_ml.core.redact import redact_text
from codex_ml.digest.analyse import Digest, digest_log
from codex_ml.digest.plan import Plan
from codex_ml.digest.tasks import Task
from codex_ml.errors import DataError, UsageError

_log = logging.getLogger(__name__)

#: The first words of a command that may run. What a program of the repository does then is its own.
ALLOWED: tuple[tuple[str, ...], ...] = (
    ("pytest",),
    ("python", "-m", "pytest"),
    ("nox",),
    ("make",),
    ("ruff",),
    ("mypy",),
    ("git", "apply", "--check"),
    ("codex-ml",),
)
_META = re.compile(r"[;&|<>$`\\*?~!\n\r\0]")
_KEPT = 1 << 15


@dataclass(frozen=True, slots=True)
class Rules:
    """What may run, where, and for how long (seconds for one command)."""

    allowed: tuple[tuple[str, ...], ...] = ALLOWED
    timeout: float = 600.0
    cwd: Path = Path()

    @staticmethod
    def with_more(words: Sequence[str], *, timeout: float, cwd: Path) -> Rules:
        """The list and what the caller adds to it, as ``--allow "tox -e"``. Raises UsageError."""
        more = tuple(tuple(word.split()) for word in words)
        for row in more:
            if not row or _META.search(" ".join(row)):
                raise UsageError(
                    "--allow needs the first words of a command",
                    code="digest.allow",
                    got=" ".join(row) or "nothing",
                    wanted="words without signs of the shell",
                    next_step='such as --allow tox, or --allow "python -m build"',
                )
        return Rules((*ALLOWED, *more), timeout, cwd)


@dataclass(frozen=True, slots=True)
class Executed:
    """The plan with its results, and what the output of a failed command says."""

    plan: Plan
    failed: bool
    digest: Digest | None


def argv_of(command: str, rules: Rules) -> list[str] | str:
    """The words of *command*, or why it may not run."""
    if found := _META.search(command):
        return f"refused: {found[0]!r} is a sign of the shell, and there is no shell"
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"refused: {error}"
    for allowed in rules.allowed:
        if tuple(words[: len(allowed)]) == allowed:
            # `git apply --check --apply` applies: nothing may follow but files.
            if allowed[0] == "git" and any(word.startswith("-") for word in words[3:]):
                return "refused: options after `git apply --check` could change files"
            if allowed[0] == "codex-ml" and {"digest", "--allow-network"} & set(words):
                return "refused: a plan runs no other plan, and opens no network"
            return words
    return "skipped: not on the list of programs that may run (--allow adds one)"


def execute(plan: Plan, rules: Rules) -> Executed:
    """Run the open tasks of *plan* in its order, up to the first failure.

    A task without commands is for people, and what depends on it, or on a skipped one, is not run.
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
        elif not task.commands:
            result = _result("manual", "no command; to be done by a person")
        else:
            result, digest = _run_task(task, rules)
            failed = result["outcome"] == "failed"
        if result is not None:
            outcome[task.id] = str(result["outcome"])
            task = replace(task, result=result, status="done" if result["outcome"] == "done" else task.status)
        tasks.append(task)
    return Executed(replace(plan, tasks=tuple(tasks)), failed, digest)


def _result(outcome: str, reason: str, commands: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"outcome": outcome, "reason": reason, "commands": list(commands)}


def _run_task(task: Task, rules: Rules) -> tuple[dict[str, Any], Digest | None]:
    rows: list[dict[str, Any]] = []
    for command in task.commands:
        words = argv_of(command, rules)
        if isinstance(words, str):
            how, _, why = words.partition(": ")
            rows.append(_row(command, how, None, why))
            return _result("skipped", f"{command}: {why}", rows), None
        _log.info("running %s", redact_text(command))
        row, digest = _run(command, words, rules)
        rows.append(row)
        if row["outcome"] != "done":
            return _result("failed", f"{command}: {row['outcome']}", rows), digest
    return _result("done", "", rows), None


def _row(command: str, outcome: str, code: int | None, output: str) -> dict[str, Any]:
    return {"command": command, "outcome": outcome, "exit_code": code, "output": output}


def _run(command: str, words: list[str], rules: Rules) -> tuple[dict[str, Any], Digest | None]:
    own = words[0] == "codex-ml"
    argv = [sys.executable, "-m", "codex_ml", *words[1:]] if own else words
    if words[0] == "python":
        argv = [sys.executable, *words[1:]]
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=rules.cwd,
                start_new_session=True,
            )
        except OSError as error:
            return _row(command, "not found", None, redact_text(str(error))), None
        with _ended_with_us(process):
            outcome = _wait(process, rules.timeout)
        code = process.returncode
        if outcome == "done" and code != 0:
            outcome = "failed"
        digest = _digest(output) if outcome != "done" else None
        return _row(command, outcome, code, _tail(output)), digest


def _wait(process: subprocess.Popen[bytes], timeout: float) -> str:
    """Wait, and end the process with all that it started when its time is over or we are interrupted."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        return "timed out"
    else:
        return "done"
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End *process* when a signal ends this program: its group of its own hears no Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        _end(process)
        signal.signal(number, before[number])
        os.kill(os.getpid(), number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {int(number): signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def _digest(output: IO[bytes]) -> Digest | None:
    output.seek(0)
    try:
        return digest_log(output)  # type: ignore[arg-type]
    except DataError as error:
        _log.warning("the output was not read: %s", error)
        return None


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _KEPT))
    text = output.read().decode("utf-8", "replace")
    if size > _KEPT:  # whole lines, for half a secret would not be known as one
        text = f"… ({size - _KEPT} bytes before)\n{text.partition(chr(10))[2]}"
    return redact_text(text)
