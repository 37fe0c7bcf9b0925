"""Exit codes that say of a signal, and those that do not."""

from __future__ import annotations

import pytest

from codex_ml.digest.signals import signal_notes


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Process completed with exit code 137.", "SIGKILL"),
        ("make: *** [Makefile:3: run] Error 139", "SIGSEGV"),
        ("the command exited with status -6", "SIGABRT"),
        ("exit status: 143", "SIGTERM"),
    ],
)
def test_the_exit_code_of_a_signal_is_told_with_its_name(text: str, name: str) -> None:
    (note,) = signal_notes(text)
    assert name in note


@pytest.mark.parametrize(
    "text", ["exit code 1", "Error 2", "exit code 130x", "exit code 1370", "code 131", "137"]
)
def test_any_other_number_says_nothing(text: str) -> None:
    assert signal_notes(text) == ()
