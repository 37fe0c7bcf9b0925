"""The error block of a gate names what failed first in its output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("body", "error", "place"),
    [
        (
            "os.abort()",
            "tests/test_a.py::test_it\nFatal Python error: Aborted\n",
            "raised at tests/test_a.py:5",
        ),
        (
            "assert len(os.sep) == 2",
            "tests/test_a.py::test_it\nAssertionError: ",
            "raised at tests/test_a.py:5",
        ),
    ],
)
def test_the_block_of_a_failed_gate_has_the_test_its_error_and_the_place(
    body: str, error: str, place: str, run_cli, tmp_path: Path
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(f"import os\n\n\ndef test_it():\n    {body}\n")
    argv = ("audit", tmp_path, "--run-tests", "--format", "json", "--date", "2026-01-01")
    done = run_cli(*argv, env={"CODEX_HOME": None}, cwd=tmp_path)
    assert done.code == 0, done.err
    (block,) = json.loads(done.out)["snapshot"]["tests_gates"]["error_blocks"]
    assert error in block
    assert place in block
    assert str(tmp_path) not in block
