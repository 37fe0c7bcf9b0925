"""How a log's parts are weighed against each other: steps, demotion, consequences, continued messages."""

from __future__ import annotations

import io

from codex_ml.digest.analyse import Digest, digest_log


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
