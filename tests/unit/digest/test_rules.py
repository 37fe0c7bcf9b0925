"""Forms of single lines: what they are taken for, and what they are not."""

from __future__ import annotations

import pytest

from codex_ml.digest.failures import Rank
from codex_ml.digest.harmless import harmless
from codex_ml.digest.hints import HINT
from codex_ml.digest.rules import RULES, match


@pytest.mark.parametrize(
    ("line", "kind", "rank"),
    [
        ("make: *** [Makefile:3: test] Error 2", "make", Rank.SUMMARY),
        ("srun: error: node1: task 0: Killed", "memory", Rank.REAL),
        ("srun: error: node1: tasks 0-3,5: Out Of Memory", "memory", Rank.REAL),
        ("srun: error: node1: task 0: Terminated", "exit", Rank.SUMMARY),
        ("srun: error: node1: tasks 0-3: Exited with exit code 1", "exit", Rank.SUMMARY),
        ("srun: error: node1: task 0: Segmentation fault (core dumped)", "crash", Rank.REAL),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.batch.", "memory", Rank.REAL),
        (
            "slurmstepd: error: *** STEP 1.0 ON n1 CANCELLED AT 2026-11-20T10:00:00 DUE TO TIME LIMIT ***",
            "timeout",
            Rank.REAL,
        ),
        (
            "slurmstepd-n1: error: *** JOB 1 ON n1 CANCELLED AT 2026-11-20T10:00:00 ***",
            "cancelled",
            Rank.REAL,
        ),
        ("salloc: error: Node failure on n7", "node", Rank.REAL),
        ("api.py:833] failed (exitcode: -9) local_rank: 1 (pid: 142)", "memory", Rank.REAL),
        ("api.py:833] failed (exitcode: -11) local_rank: 1 (pid: 142)", "crash", Rank.REAL),
        ("..Fatal Python error: Aborted", "crash", Rank.REAL),
        ("tests/test_a.py::test_b Fatal Python error: Aborted", "crash", Rank.REAL),
        ("./m.go:3:2: undefined: foo", "compiler", Rank.REAL),
        ("src/x.ts:3:5 - error TS2322: Type", "compiler", Rank.REAL),
        ("npm error Lifecycle script `build` failed with error:", "npm", Rank.SUMMARY),
        ("train.py: error: unrecognized arguments: --x", "error", Rank.REPORTED),
        ("make[2]: *** No rule to make target 'x'.  Stop.", "make", Rank.REAL),
        ("Makefile:7: *** missing separator.  Stop.", "make", Rank.REAL),
        ("Process completed with exit code 2.", "exit", Rank.SUMMARY),
        ("The command exited with status 1", "exit", Rank.SUMMARY),
        ("ninja: build stopped: subcommand failed.", "ninja", Rank.SUMMARY),
        ("collect2: error: ld returned 1 exit status", "linker", Rank.SUMMARY),
        ("main.o: undefined reference to `f'", "linker", Rank.REAL),
        ("src/a.c:3:5: error: expected ';'", "compiler", Rank.REAL),
        ("src/a.c:3:5: fatal error: x.h: No such file or directory", "compiler", Rank.REAL),
        ("src/x.ts(3,5): error TS2322: Type", "compiler", Rank.REAL),
        ("error[E0308]: mismatched types", "rustc", Rank.REAL),
        ('a.py:3: error: Name "x" is not defined  [name-defined]', "mypy", Rank.REAL),
        ("CMake Error at CMakeLists.txt:3 (find_package):", "cmake", Rank.REAL),
        ("ERROR: No matching distribution found for x", "pip", Rank.REAL),
        ("npm ERR! code ELIFECYCLE", "npm", Rank.SUMMARY),
        ("npm ERR! missing script: test", "npm", Rank.REAL),
        ("Killed", "memory", Rank.REAL),
        ("Out of memory: Killed process 4711 (python)", "memory", Rank.REAL),
        ("Segmentation fault (core dumped)", "crash", Rank.REAL),
        ("OSError: [Errno 28] No space left on device", "disk", Rank.REAL),
        ("bash: nvcc: command not found", "shell", Rank.REAL),
        ("zsh: command not found: nvcc", "shell", Rank.REAL),
        ("fatal: not a git repository", "git", Rank.REAL),
        ("--- FAIL: TestX (0.00s)", "go", Rank.REAL),
        ("worker 'gw1' crashed while running 'tests/a.py::t'", "pytest", Rank.REAL),
        (
            "The job running on runner x has exceeded the maximum execution time of 60 minutes.",
            "timeout",
            Rank.REAL,
        ),
        ("ERROR: could not open the index", "error", Rank.REPORTED),
        ("app.main ERROR the index is cut", "error", Rank.REPORTED),
        ("time=1 level=error msg=x", "error", Rank.REPORTED),
        ("ValueError: bad", "error", Rank.REPORTED),
        ("ERROR: upload failed, giving up after retrying 5 times", "error", Rank.REPORTED),
        ("ERROR: max retries exceeded", "error", Rank.REPORTED),
        ("ERROR: attempt 3 of 3 failed, not retrying", "error", Rank.REPORTED),
        ("FATAL: 12 steps failed, 0 errors in parsing", "error", Rank.REPORTED),
        ("[ERROR] Tests run: 3, Failures: 1, Errors: 0, Skipped: 0", "error", Rank.REPORTED),
        ("ERROR: an exception was expected and no error was raised", "error", Rank.REPORTED),
    ],
)
def test_a_line_is_what_it_says_and_the_scan_would_find_it(line: str, kind: str, rank: Rank) -> None:
    found = match(line)
    assert found is not None
    assert (found[0].kind, found[0].rank) == (kind, rank)
    assert not harmless(line)
    assert HINT.search(line.encode())


@pytest.mark.parametrize(
    "line",
    [
        "make: [Makefile:2: clean] Error 1 (ignored)",
        "0 errors, 3 warnings",
        "main.go:10 +0x1d",
        "*** JOB 123 ON node1 STARTED AT 2026-11-20T10:00:00 ***",
        "api.py:833] ended (exitcode: 0) local_rank: 1 (pid: 142)",
        "finished with exit code 0",
        "a.c:3:1: warning: unused variable 'error'",
        "UserWarning: an error in the next version",
        "WARNING: error while fetching, retrying",
        "INFO no ERROR so far",
        "ERROR: upload failed, retrying in 5 s",
        "ERROR: attempt 1 of 3 failed, will retry",
        "[ERROR] 0 errors, 0 failed",
        "Tests run: 3, Failures: 0, Errors: 0",
        "tests/test_errors.py::test_error PASSED",
        "tests/test_errors.py::test_error XFAIL",
        "the mirror serves terror films",
        "ERROR: pip's dependency resolver does not currently take into account all the packages",
    ],
)
def test_a_line_that_says_nothing_failed_is_let_go(line: str) -> None:
    assert match(line) is None or harmless(line)


def test_every_hint_of_the_table_is_in_the_scan() -> None:
    missing = [hint for rule in RULES for hint in rule.hints if not HINT.search(f"\n{hint}".encode())]
    assert missing == []
