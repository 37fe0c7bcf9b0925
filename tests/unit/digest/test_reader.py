"""How a log's parts are weighed against each other: steps, demotion, consequences, continued messages."""

from __future__ import annotations

import io

import pytest

from codex_ml.digest.analyse import Digest, digest_log
from codex_ml.digest.plan import failure_tasks
from codex_ml.digest.pytest_output import summary


def read(text: str) -> Digest:
    return digest_log(io.BytesIO(text.encode()))


def test_steps_are_numbered_as_they_come_and_a_failure_knows_its_own() -> None:
    found = read("+ make setup\nok\n$ pytest -q\n##[group]Run ruff check .\nERROR: no config\n").failure
    assert found is not None
    assert (found.number, found.step, found.command) == (3, "ruff check .", "ruff check .")


def test_an_error_in_a_session_that_was_successful_is_handled() -> None:
    text = (
        "nox > Running session a\nERROR: odd but fine\nnox > Session a was successful.\n"
        "nox > Running session b\nERROR: real\nnox > Command x failed with exit code 1\n"
        "nox > Session b failed.\n"
    )
    found = read(text)
    assert found.failure is not None
    assert found.failure.root.text == "ERROR: real"
    assert found.handled == 1


def test_a_crash_within_a_session_of_pytest_is_not_laid_at_a_tests_door() -> None:
    text = (
        "=== test session starts ===\nFatal Python error: Segmentation fault\n"
        "=== FAILURES ===\n___ test_a ___\nE   assert 0\n\nt.py:1: AssertionError\n=== 1 failed in 0.1s ===\n"
    )
    found = read(text)
    assert found.failure is not None
    assert found.failure.kind == "crash"


def test_a_session_that_breaks_off_keeps_its_failures_and_what_follows() -> None:
    text = (
        "=== test session starts ===\n=== FAILURES ===\n"
        "___ test_a ___\nE   assert 0\n\nt.py:1: AssertionError\n"
        "make: *** [Makefile:1: test] Terminated\n"
    )
    found = read(text)
    assert found.failure is not None
    assert [cause.text for cause in found.failure.causes] == [
        "assert 0",
        "make: *** [Makefile:1: test] Terminated",
    ]


def test_summaries_of_other_steps_are_no_consequence_but_the_last_is() -> None:
    text = (
        "+ make a\nfatal: no repository\nmake: *** [Makefile:1: a] Error 128\n"
        "+ make b\nmake: *** [Makefile:2: b] Error 1\n"
        "+ make c\nProcess completed with exit code 2.\n"
    )
    found = read(text)
    assert found.failure is not None
    texts = [cause.text for cause in found.failure.causes]
    assert texts[:2] == ["fatal: no repository", "make: *** [Makefile:1: a] Error 128"]
    assert texts[-1] == "Process completed with exit code 2."


def test_a_missing_program_in_nox_and_a_bad_format_are_real() -> None:
    assert read("nox > Running session a\nnox > Program mypyy not found.\n").failure is not None
    found = read("Would reformat: src/a.py\n1 file would be reformatted, 3 files already formatted\n").failure
    assert found is not None
    assert (found.kind, found.command) == ("format", "ruff format --check src/a.py")


def test_an_error_that_goes_on_in_indented_lines_is_one() -> None:
    found = read("error[E0308]: mismatched types\n --> src/lib.rs:4:5\n  |\n4 | x\nnext\n").failure
    assert found is not None
    assert found.root.text.splitlines()[:2] == ["error[E0308]: mismatched types", " --> src/lib.rs:4:5"]


def test_annotations_that_are_no_errors_are_passed_over() -> None:
    assert read("##[warning]ERROR: old node\n::notice::ERROR: x\n").failure is None
    assert read("##[error]the disk is odd\n").failure is not None


def test_the_same_test_of_two_folders_with_the_same_message_is_two_failures_and_two_tasks() -> None:
    text = (
        "=== test session starts ===\n=== short test summary info ===\n"
        "FAILED tests/a/test_io.py::test_load - OSError: no file\n"
        "FAILED tests/b/test_io.py::test_load - OSError: no file\n=== 2 failed in 0.1s ===\n"
    )
    found = read(text)
    assert [block.occurrences for block in found.blocks] == [1, 1]
    commands = [task.commands for task in failure_tasks(found)]
    assert commands[:2] == [
        ("pytest tests/a/test_io.py::test_load",),
        ("pytest tests/b/test_io.py::test_load",),
    ]


def test_the_same_test_of_two_checkouts_is_one_failure() -> None:
    rows = "".join(f"FAILED /home/{name}/tests/test_io.py::t - OSError: no file\n" for name in "ab")
    found = read(f"=== test session starts ===\n=== short test summary info ===\n{rows}")
    assert [block.occurrences for block in found.blocks] == [2]


def test_giving_up_is_a_failure_where_retrying_is_none() -> None:
    error = "ERROR: upload failed, giving up after retrying 5 times"
    found = read(f"WARNING: upload failed, retrying\n{error}\nmake: *** [Makefile:1: a] Error 1\n").failure
    assert found is not None and found.root.text == error
    assert read("FATAL: 12 steps failed, 0 errors in parsing\n").failure is not None


@pytest.mark.parametrize(
    ("line", "node"),
    [
        ("FAILED a.py::t - x", "a.py::t"),
        ("FAILED a.py::t[a - b] - x", "a.py::t[a - b]"),
        ("FAILED a.py::t[a b]", "a.py::t[a b]"),
        ("FAILED a.py::t - assert [1] - x", "a.py::t"),
        ("FAILED a.py::t - assert [1] - x]", "a.py::t"),
        ("FAILED a.py::t[[] - x", "a.py::t[[]"),
        ("ERROR tests/conftest.py", "tests/conftest.py"),
        ("ERROR the index is cut", None),
        ("FAILED [[ x", None),
        ("FAILED", None),
    ],
)
def test_the_node_of_a_line_of_the_summary_is_read_whatever_its_parameters_hold(
    line: str, node: str | None
) -> None:
    found = summary(line)
    assert (found[1] if found else None) == node
