"""Tasks and their order: a plan is a topological order, or an error that names the cycle."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from codex_ml.errors import DataError, did_you_mean

_SHOWN = 80  # characters of a title or a name in an error; looking for the nearest takes their square


@dataclass(frozen=True, slots=True)
class Check:
    """How one sees that a task is done: in words, and as a command that ends with 0 where there is one."""

    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do."""

    id: str
    title: str
    check: Check
    group: str = ""
    status: str = "open"  # open or done
    depends_on: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    why: str = ""
    evidence: tuple[str, ...] = ()
    line: int | None = None  # of the input
    result: dict[str, Any] | None = field(default=None)

    def record(self, order: int) -> dict[str, Any]:
        """The task in the plan's JSON, as number *order* of it."""
        return {
            "id": self.id,
            "order": order,
            "title": self.title,
            "group": self.group,
            "status": self.status,
            "depends_on": list(self.depends_on),
            "commands": list(self.commands),
            "check": {"text": self.check.text, "command": self.check.command},
            "why": self.why,
            "evidence": list(self.evidence),
            "line": self.line,
            "result": self.result,
        }


def ordered(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """*tasks* so that each stands after what it depends on, and else as they came.

    Raises DataError for an id that two tasks have, a dependency that is no task, and a cycle, which it names.
    """
    by_id = {task.id: task for task in tasks}
    if len(by_id) < len(tasks):
        counted = Counter(task.id for task in tasks)
        twice = next(name for name, count in counted.items() if count > 1)
        raise DataError(
            f"two tasks have the id '{twice}'",
            code="digest.task-id",
            next_step="give each task an id of its own, or none: they are numbered then",
        )
    for task in tasks:
        for wanted in task.depends_on:
            if wanted not in by_id:
                raise unknown_dependency(task.title, wanted, by_id, line=task.line)
    place = {task.id: at for at, task in enumerate(tasks)}
    waiting = {task.id: len(set(task.depends_on)) for task in tasks}
    followers: dict[str, list[str]] = {task.id: [] for task in tasks}
    for task in tasks:
        for wanted in set(task.depends_on):
            followers[wanted].append(task.id)
    ready = [place[name] for name, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    done: list[Task] = []
    while ready:
        task = tasks[heapq.heappop(ready)]
        done.append(task)
        for name in followers[task.id]:
            waiting[name] -= 1
            if waiting[name] == 0:
                heapq.heappush(ready, place[name])
    if len(done) < len(tasks):
        raise _cycle({task.id: task for task in tasks if waiting[task.id]})
    return tuple(done)


def unknown_dependency(
    title: str, wanted: str, known: Iterable[str], *, line: int | None = None
) -> DataError:
    """The error for a task that is to come after something that does not exist."""
    where = f" (line {line})" if line else ""
    return DataError(
        f"the task '{title[:_SHOWN]}'{where} depends on '{wanted[:_SHOWN]}', which is no task",
        code="digest.dependency",
        wanted="the id, the title or the number of a task",
        next_step=did_you_mean(wanted[:_SHOWN], [name[:_SHOWN] for name in islice(known, 1000)]),
    )


def _cycle(left: dict[str, Task]) -> DataError:
    """Walk from any task that waits to one that it waits for, until one comes twice."""
    name = next(iter(left))
    walked: dict[str, None] = {}
    while name not in walked:
        walked[name] = None
        name = next(wanted for wanted in left[name].depends_on if wanted in left)
    path = list(walked)
    ring = [*path[path.index(name) :], name]
    return DataError(
        "the tasks wait for each other",
        code="digest.cycle",
        got=" -> ".join(ring) + " (" + ", ".join(f"{one}: {left[one].title}" for one in ring[:-1]) + ")",
        wanted="an order in which each task comes after those it depends on",
        next_step="take one of these dependencies away",
    )
