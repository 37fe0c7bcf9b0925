"""Lines of any compiler before what gave up: found where nothing else explains it, and nowhere else."""

from __future__ import annotations

import io

import pytest

from codex_ml.digest.analyse import digest_log
from codex_ml.digest.failures import Failure


def first(text: str) -> Failure:
    found = digest_log(io.BytesIO(text.encode())).failure
    assert found is not None
    return found


@pytest.mark.parametrize(
    "end",
    [
        "make: *** [x] Error 1",
        "ninja: build stopped: subcommand failed.",
        "##[error]Process completed with exit code 1.",
        "nox > Command flake8 failed with exit code 1",
        "error: could not compile `x`",
    ],
)
def test_a_located_line_before_a_summary_is_the_failure(end: str) -> None:
    found = first(f"a.py:1:2: warning: old\na.py:3:4: F401 'os' imported but unused\nsome line\n{end}\n")
    assert (found.kind, found.line, found.root.text) == ("compiler", 2, "F401 'os' imported but unused")
    assert found.root.place == "a.py:3"


def test_without_a_summary_such_a_line_is_text() -> None:
    assert digest_log(io.BytesIO(b"see a.py:3:4: what it does\na.py:3:4: what it does\n")).failure is None


def test_a_line_before_another_failure_belongs_to_that_one() -> None:
    found = digest_log(io.BytesIO(b"a.py:3:4: a note\nbash: x: command not found\nmake: *** [x] Error 127\n"))
    assert found.failure is not None
    assert (found.failure.kind, len(found.blocks)) == ("shell", 1)
