"""A program ends with its time, with the call, and with all it left behind; the end of its output is kept."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pytest

from codex_ml.core.programs import last_of, run_program


def _run(code: str, folder: Path, seconds: float = 30.0) -> tuple[int | None, str]:
    with tempfile.TemporaryFile() as output:
        found = run_program([sys.executable, "-c", code], cwd=folder, seconds=seconds, output=output)
        return found, last_of(output, 100)


def test_the_exit_code_and_both_streams_come_back(tmp_path: Path) -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    assert _run(code, tmp_path) == (3, "out\nerr\n")


def test_a_program_over_its_time_has_no_exit_code(tmp_path: Path) -> None:
    assert _run("import time; time.sleep(60)", tmp_path, 0.2) == (None, "")


def test_what_a_program_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    child = "import time; time.sleep(1.0); open('survived', 'w').close()"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])"
    assert _run(code, tmp_path)[0] == 0
    time.sleep(1.3)
    assert not (tmp_path / "survived").exists()


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as output, pytest.raises(OSError, match="no-such-program"):
        run_program(["no-such-program"], cwd=tmp_path, seconds=1, output=output)


def test_the_end_of_an_output_begins_with_a_whole_line() -> None:
    token = "ghp_" + "a1B2" * 9
    with tempfile.TemporaryFile() as output:
        output.write(f"{token}\n{'x' * 70}\n{token}\n".encode())
        shown = last_of(output, 100)
    assert "a1B2" not in shown
    assert shown.startswith("… (") and "[redacted:github-token]" in shown
