"""Run the gates of the audited repository: the one place where its code is executed, on demand alone."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.audit.index import Index
from codex_ml.core.programs import last_of, run_program
from codex_ml.errors import UsageError

_TAIL = 20_000
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")
_CLOSING = re.compile(r"\d+ (passed|failed|skipped|errors?)\b.* in \d")
_TOTAL = re.compile(r"^TOTAL\s.*\s(\d+(?:\.\d+)?)%", re.MULTILINE)


@dataclass(frozen=True)
class Gate:
    """A command of the repository. *covers*: the side of the ML Test Score that it belongs to."""

    command: tuple[str, ...]
    purpose: str
    covers: str

    def line(self) -> str:
        return shlex.join(["python" if word == sys.executable else word for word in self.command])


@dataclass(frozen=True)
class Outcome:
    """How a gate ended: ``passed``, ``failed``, ``timed out`` or ``skipped``; *output*: its end, redacted."""

    gate: Gate
    outcome: str
    code: int | None
    seconds: float
    output: str

    def as_dict(self) -> dict[str, Any]:
        last = [line for line in self.output.splitlines() if line.strip()]
        return {
            "command": self.gate.line(),
            "purpose": self.gate.purpose,
            "covers": self.gate.covers,
            "outcome": self.outcome,
            "exit_code": self.code,
            "seconds": round(self.seconds, 1),
            "output_last": last[-1][:200] if last else "",
        }


def known_gates(index: Index) -> list[Gate]:
    """Those that the repository configures: its tests, its linter, its type checker, its hooks."""
    found = []
    if any(True for _ in index.tests()):
        found.append(
            Gate((sys.executable, "-m", "pytest", "-q"), "unit and integration tests", _covered(index))
        )
    lint = {place.note for place in index.evidence.get("config.lint", ())}
    if any("ruff" in note for note in lint):
        found.append(Gate(("ruff", "check", "."), "static checks", "infrastructure"))
    if any("mypy" in note for note in lint):
        found.append(Gate(("mypy", "."), "types", "infrastructure"))
    if any(True for _ in index.tree.named(".pre-commit-config.yaml")):
        found.append(
            Gate(("pre-commit", "run", "--all-files"), "hooks, secrets among them", "infrastructure")
        )
    return found


def _covered(index: Index) -> str:
    """The sides of the ML Test Score (Breck et al., 2017) that the tests reach."""
    sides = (("data", "data.use"), ("model", "model.use"))
    reached = [name for name, signal in sides if index.reached(index.evidence.get(signal, ()))]
    return ", ".join(reached) or "infrastructure"


def given_gates(commands: Sequence[str]) -> list[Gate]:
    """Commands as they were typed, to be run without a shell. Raises UsageError for what is none."""
    found = []
    for text in commands:
        try:
            words = shlex.split(text)
        except ValueError as error:
            words = []
            said = str(error)
        else:
            said = "nothing"
        if not words:
            raise UsageError(
                "--command is no command", code="audit.command", got=f"{text!r}: {said}", wanted="words"
            )
        found.append(Gate(tuple(words), "asked for", "infrastructure"))
    return found


def run_gates(root: Path, gates: Sequence[Gate], *, seconds: float) -> Iterator[Outcome]:
    """Run one after the other in *root*, each for at most *seconds*; what is not installed is skipped."""
    for gate in gates:
        if (
            shutil.which(root.absolute() / gate.command[0] if "/" in gate.command[0] else gate.command[0])
            is None
        ):
            yield Outcome(gate, "skipped", None, 0.0, f"{gate.command[0]} is not installed")
            continue
        yield _run(root, gate, seconds)


def _run(root: Path, gate: Gate, seconds: float) -> Outcome:
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            code = run_program(gate.command, cwd=root, seconds=seconds, output=output)
        except OSError as error:
            return Outcome(gate, "skipped", None, 0.0, f"it cannot be started: {error.strerror}")
        text = last_of(output, _TAIL)
    outcome = "timed out" if code is None else "passed" if code == 0 else "failed"
    return Outcome(gate, outcome, code, time.monotonic() - began, text)


def gates_report(outcomes: Sequence[Outcome], error_blocks: Sequence[str], tests: int) -> dict[str, Any]:
    """The ``tests_gates`` of the report."""
    return {
        "run": True,
        "commands": [one.as_dict() for one in outcomes],
        "known": [one.gate.line() for one in outcomes],
        "coverage_percent": _coverage(outcomes),
        "tests_summary": {
            "total": tests,
            **_counted(outcomes),
            "duration_seconds": round(sum(one.seconds for one in outcomes), 1),
            "gates_passed": sum(one.outcome == "passed" for one in outcomes),
            "gates_failed": sum(one.outcome in ("failed", "timed out") for one in outcomes),
            "gates_skipped": sum(one.outcome == "skipped" for one in outcomes),
        },
        "error_blocks": list(error_blocks),
    }


def _counted(outcomes: Sequence[Outcome]) -> dict[str, int | None]:
    """Tests passed, failed and skipped by the closing lines of pytest; None where there is no such line."""
    found: Counter[str] = Counter()
    for one in outcomes:
        closing = [line for line in one.output.splitlines() if _CLOSING.search(line)]
        for count, word in _COUNT.findall(closing[-1]) if closing else ():
            found["failed" if word.startswith("error") else word] += int(count)
    return {name: found[name] if found else None for name in ("passed", "failed", "skipped")}


def _coverage(outcomes: Sequence[Outcome]) -> float | None:
    """The percentage of a coverage table's last line."""
    found = [match[1] for one in outcomes for match in _TOTAL.finditer(one.output)]
    return float(found[-1]) if found else None
