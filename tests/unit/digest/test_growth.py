"""No input makes a reader's time grow faster than its length: lines against each form that is looked for."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from codex_ml.digest.clean import clean
from codex_ml.digest.document import read_document
from codex_ml.digest.fingerprint import normalise
from codex_ml.digest.harmless import harmless
from codex_ml.digest.lint import lint_failures
from codex_ml.digest.rules import match
from codex_ml.digest.steps import is_command
from codex_ml.errors import DataError

_WHOLE = 12_000
_STEP, _APART = 1.3, 5
_NOISE = 0.03


def _seconds(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def assert_linear(make: Callable[[int], Callable[[], object]], whole: int = _WHOLE) -> None:
    """The time of ``make(n)()`` grows with n, not with a power of it; the first size where it does ends it.

    Five steps of 1.3 are 3.7 times the length: that much time where it is linear, 14 times for a square.
    """
    sizes, took = [16], [0.0]
    while sizes[-1] < whole:
        sizes.append(int(sizes[-1] * _STEP))
        took.append(_seconds(make(sizes[-1])))
        apart = took[-1 - _APART] if len(took) > _APART else 0.0
        most = min(2 * took[-2], 8 * apart) + _NOISE
        again = 0
        while took[-1] > most and (again := again + 1) <= 2:  # whatever else the machine did then
            took[-1] = min(took[-1], _seconds(make(sizes[-1])))
        assert took[-1] <= most, (
            f"{took[-1]:.3f} s for {sizes[-1]} characters, {took[-2]:.3f} s for {sizes[-2]}"
        )


def _read(data: bytes, kind: str | None) -> Callable[[], object]:
    def read() -> None:
        with suppress(DataError):  # a dependency that is no task
            read_document(io.BytesIO(data), name="x", kind=kind, date=None)

    return read


HEAD = "Traceback (most recent call last):\n"
SESSION = "=== test session starts ===\n"
SHORT = f"{SESSION}=== short test summary info ===\n"
FAILURES = f"{SESSION}=== FAILURES ===\n____ t ____\n"
NOX = "nox > Running session a\n"
#: What stands before, the unit that is repeated, what stands after: on one line.
LINES = [
    ("1 ", "a11 ", " failed"),
    ("=== 1 ", "a11 ", " failed ==="),
    ("", "1 a11, ", " passed"),
    (f"{SHORT}1 ", "a11 ", " failed"),
    (f"{SHORT}FAILED ", "[", " x"),
    (f"{SHORT}FAILED ", "/", " x"),
    (f"{SHORT}FAILED ", "a::[b] ", " x"),
    (f"{SHORT}FAILED a::b", "[ - ", " x"),
    (f"{SHORT}ERROR ", "a - ", " ]"),
    (SESSION, "=== a ", "="),
    (SESSION, "=", " a"),
    (f"{FAILURES}", "_ ", "_"),
    (f"{FAILURES}", "--- Captured ", "-"),
    (f"{FAILURES}", "a.b:1:", " x"),
    (f"{FAILURES}E   ", "a ", ""),
    ("+ Exception Group " + HEAD, "| ", ""),
    ("+ Exception Group " + HEAD + "  +-", "-", " x"),
    ("+ Exception Group " + HEAD + "  +-", "+-", " 1 x"),
    (f'{HEAD}  File "a", line ', "1", " x"),
    (HEAD, "a.", ": x"),
    (f"{HEAD}E: ", "attempt 1 of ", "failed"),
    (NOX + "nox > Command ", "failed with exit code 1", "x"),
    (NOX + "nox > ", "A=1 ", "x"),
    ("+ ", "A=1 ", "x failed"),
    ("$ ", "'", " failed"),
    ("", "\x1b[0", "Error: x"),
    ("", "-1-1 ", "| Error: x"),
    ("::error ", "a:b", "Error: x"),
    ("", "[0-9]:", " error x"),
    ("x(", "1", " : error TS1"),
    ("x(1", ",1", " : error TS1"),
    ("FAILED: ", "a.b", " x"),
    ("FAILED: a.b", " ", "x"),
    ("make: *** [", "a: ", "] x"),
    ("make: *** [", "a:1: ", "Error 1"),
    ("", "a/", "sh: x"),
    ("", "a-", ": not found x"),
    ("", ": line 1: ", "Killed x"),
    (": line 1:", " ", "Killedx"),
    ("", "Aa", "Error: "),
    ("", "a.", "Aa Error: "),
    ("ERROR ", "0 errors ", "x"),
    ("ERROR ", "1 ", "errors"),
    ("ERROR: ", "retry ", "x"),
    ("Found 1 error.", " ", "x"),
    ("ValueError: ", "(", "1 sub-exceptions"),
    ("", " ", "Error: x"),
    ("", "\t", "Error: x"),
    ("srun: error: n: tasks ", "1,", ": Killed"),
    ("slurmstepd: error: *** JOB ", "1 ON ", " CANCELLED AT x"),
    ("", "a: ", "error: x"),
    ("", ".", "Fatal Python error: x"),
    ("", "a.py::", " Fatal Python error: x"),
    ("Fatal Python error: x\nThread 0x0 ", "(most recent call first): ", "x"),
    ("FAIL ", "a.js ", "> x"),
    ("FAIL a.js\n  Error: x\n  at ", "(a.js:1", ":1 x"),
    ("", ".go:1", ":1 x"),
    ("", "a.b:1:1: ", "x\nmake: *** [x] Error 1"),
    ("", "a.b:1", ":1 x\nmake: *** [x] Error 1"),
    (f'{HEAD}  File "a", line 1, in f\nE: ', "NCCL", " x"),
]


@pytest.mark.parametrize(("before", "unit", "after"), LINES)
def test_a_hostile_line_of_a_log_takes_time_in_proportion_to_its_length(
    before: str, unit: str, after: str
) -> None:
    def make(size: int) -> Callable[[], object]:
        return _read(f"{before}{unit * (size // len(unit))}{after}\n".encode(), "log")

    assert_linear(make)


#: A whole line, again and again.
REPEATED = [
    ("", "Found a\n"),
    ("", "Found 1 error.\n"),
    ("", "ERROR: x\nmake: [a] Error 1 (ignored)\n"),
    ("", "+ make\nERROR: x\nmake: [a] Error 1 (ignored)\n"),
    ("", "ERROR: x\n1 passed in 1s\nmake: [a] Error 1 (ignored)\n"),
    ("", f"ERROR: x\n{NOX}nox > Session a was successful.\n"),
    (SHORT, "FAILED a::b - x\n"),
    (f"{SESSION}=== FAILURES ===\n", "a.py:1: AssertionError: x\n"),
    ("", HEAD),
    ("", f'{HEAD}  File "a", line 1, in f\n'),
    ("", f'{HEAD}  File "a", line 1, in f\nE: x\n'),
    (f'{HEAD}  File "a", line 1, in f\nE: x\n', "more\n"),
    ("", "make: *** [x] Error 1\n"),
    ("", "a.c:1:1: error: x\n"),
    ("", "FATAL: 1\n"),
    ("", "FAIL a.js\n  Error: x\n"),
    ("FAIL a.js\n", "  Error: x\n"),
    ("", "Fatal Python error: x\n"),
    (
        "Fatal Python error: x\nCurrent thread 0x0 (most recent call first):\n",
        '  File "test_a.py", line 1 in f\n',
    ),
    ("", "a.b:1:1: x\nmake: *** [x] Error 1\n"),
    ("", "Root Cause (first observed failure):\n"),
    ("", f'[rank0]: {HEAD}[rank0]:   File "a", line 1, in f\n[rank0]: E: NCCL timeout\n'),
]


@pytest.mark.parametrize(("before", "unit"), REPEATED)
def test_many_lines_of_a_log_take_time_in_proportion_to_their_number(before: str, unit: str) -> None:
    assert_linear(lambda size: _read((before + unit * (size // len(unit))).encode(), "log"), 60_000)


def test_the_summary_of_many_failed_tests_takes_time_in_proportion_to_their_number() -> None:
    def make(size: int) -> Callable[[], object]:
        rows = range(size // 60)
        items = "".join(f"a/t.py:{at}: ValueError: {at}\n" for at in rows)
        names = "".join(f"FAILED a/t.py::test_{at} - ValueError: {at}\n" for at in rows)
        text = f"{SESSION}=== FAILURES ===\n{items}=== short test summary info ===\n{names}"
        return _read(text.encode(), "log")

    assert_linear(make, 60_000)


TASKS = [
    ("- [ ] x", " ", "y"),
    ("- [ ] x after:", " ", "("),
    ("- [ ] x ", "after: ", "("),
    ("- [ ] x check:", " ", "("),
    ("- [ ] x ", "(check ", "y"),
    ("- [ ] x after: a", " ", "y"),
    ("- [ ] x ", "` a ", ""),
    ("- [ ] x ", "`a ``b ", ""),
    ("- [ ] ", "**", "a"),
    ("- [ ] ", "a1", ": x"),
    ("- [ ] ", "[(", ""),
    ("- [ ]", " ", ""),
    ("# a", " ", "b"),
    ("# a", "#", "b"),
    ("# a", " #", "b"),
    ("- [ ] a\n", "~~~\n", ""),
    ("- [ ] a\n", "```\n~~~\n", ""),
    ("- [ ] a\n", "  - b\n", ""),
    ("- [ ] a\n", " ", "```"),
    ("", "- [ ] a\n", ""),
    ("", "1. a\n", ""),
    ("- [ ] a\n```sh\n", "make \\\n", "```\n"),
]


@pytest.mark.parametrize(("before", "unit", "after"), TASKS)
def test_a_hostile_list_of_tasks_takes_time_in_proportion_to_its_length(
    before: str, unit: str, after: str
) -> None:
    def make(size: int, kind: str | None) -> Callable[[], object]:
        return _read(f"{before}{unit * (size // len(unit))}{after}\n".encode(), kind)

    assert_linear(lambda size: make(size, "tasks"))
    if not before.startswith("- [ ]"):  # whether it is one is to be found out
        assert_linear(lambda size: make(size, None))


@pytest.mark.parametrize("last", ["- [ ] A-0: y", "- [ ] y, after: nothing", "- [ ] B1: y, after: B1"])
def test_a_list_of_many_tasks_that_is_refused_takes_time_in_proportion_to_its_length(last: str) -> None:
    def make(size: int) -> Callable[[], object]:
        rows = "".join(f"- [ ] A-{at}: x, after: A-{max(0, at - 1)}\n" for at in range(1, size // 30))
        return _read(f"- [ ] A-0: x\n{rows}{last}\n".encode(), "tasks")

    assert_linear(make, 60_000)


ALONE: list[Callable[[str], object]] = [
    match,
    harmless,
    is_command,
    normalise,
    lambda text: clean(text.encode(), 1),
    lambda text: lint_failures([clean(text.encode(), 1)]),
]


@pytest.mark.parametrize("unit", ["a", "1", ".", "/", " ", ": ", "a.b", "_-1", "x(1,", "0 errors"])
def test_each_reader_of_one_line_alone_takes_time_in_proportion_to_its_length(unit: str) -> None:
    for read in ALONE:
        assert_linear(lambda size: lambda: read(unit * (size // len(unit))))  # noqa: B023
