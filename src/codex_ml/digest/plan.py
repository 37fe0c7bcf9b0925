"""The plan: what to do, in which order, with which commands, and how one sees that it is done."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from codex_ml.core.markdown import one_line
from codex_ml.digest.analyse import Digest
from codex_ml.digest.failures import Block
from codex_ml.digest.tasks import Check, Task, ordered

FORMAT = 1
SCHEMA = "plan.schema.json"
#: Failures that get a task of their own; a plan of a thousand would be read by nobody.
MOST_TASKS = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in an order that can be followed from top to bottom."""

    title: str
    source: str
    kind: str  # of the input: log, pytest, …, tasks or audit
    sha256: str  # of the input
    tasks: tuple[Task, ...]
    date: str | None = None

    def record(self) -> dict[str, Any]:
        """The plan as JSON; valid under `plan_schema`."""
        return {
            "format": FORMAT,
            "title": self.title,
            "source": {"name": self.source, "kind": self.kind, "sha256": self.sha256},
            "date": self.date,
            "tasks": [task.record(at) for at, task in enumerate(self.tasks, 1)],
        }


def plan_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``.codex_digest.plan.json``."""
    text = resources.files("codex_ml.digest").joinpath(SCHEMA).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def make_plan(
    tasks: Sequence[Task], *, title: str, source: str, kind: str, sha256: str, date: str | None = None
) -> Plan:
    """A plan of *tasks* in a topological order. Raises DataError for a cycle or an unknown dependency."""
    return Plan(title, source, kind, sha256, ordered(tasks), date)


def failure_tasks(digest: Digest) -> tuple[Task, ...]:
    """Tasks for the failures of a log: the first one first, the others after it, the whole run at last."""
    blocks = _first_first(digest)
    if not blocks:
        return ()
    tasks = []
    for at, block in enumerate(blocks[:MOST_TASKS], 1):
        tasks.append(_fix(block, at, depends_on=("t1",) if at > 1 else ()))
    ids = tuple(task.id for task in tasks)
    command = digest.failure.command if digest.failure else None
    whole = _whole_run(digest) or command
    text = (
        f"`{whole}` ends with exit code 0" if whole else "the run that wrote this log ends without a failure"
    )
    tasks.append(
        Task(
            id=f"t{len(tasks) + 1}",
            title="Run the whole again",
            check=Check(text, whole),
            group="Verification",
            depends_on=ids,
            commands=(whole,) if whole else (),
            why="a later failure may have been hidden by the first",
        )
    )
    return tuple(tasks)


def _first_first(digest: Digest) -> list[Block]:
    first = digest.failure
    return sorted(digest.blocks, key=lambda block: first is None or block.failure.line != first.line)


def _whole_run(digest: Digest) -> str | None:
    """The command of the step, as it stands in the log."""
    step = digest.failure.step if digest.failure else ""
    words = step.split()
    return step if words and words[0] in ("nox", "make", "pytest") else None


def _fix(block: Block, at: int, *, depends_on: tuple[str, ...]) -> Task:
    failure = block.failure
    what = one_line(failure.root.text)[:160]
    command = failure.command or _command(failure.kind, failure.subject)
    text = f"`{command}` ends with exit code 0" if command else "the step runs again without this failure"
    seen = f"line {failure.line}" + (f" and {block.occurrences - 1} more" if block.occurrences > 1 else "")
    evidence = (
        seen,
        *((failure.root.place,) if failure.root.place else ()),
        f"fingerprint {block.fingerprint}",
    )
    why = "the first real failure" if not depends_on else "may be a consequence of the first: look after that"
    return Task(
        id=f"t{at}",
        title=f"Fix {what}",
        check=Check(text, command),
        group=failure.step or failure.kind,
        depends_on=depends_on,
        commands=(command,) if command else (),
        why=why,
        evidence=evidence,
        line=failure.line,
    )


def _command(kind: str, subject: str | None) -> str | None:
    if kind == "nox" and subject:
        return f"nox -s {shlex.quote(subject)}"
    return f"make {shlex.quote(subject)}" if kind == "make" and subject else None
