"""Fixtures and rules that every test shares: workspace, command line, optional packages."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NOT_INSTALLED = "codex-ml is not installed in this environment; run: make setup"
pytest_plugins = ["needs", "command_line"]


def _installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("codex_ml", "click", "hydra"))


def pytest_configure(config: pytest.Config) -> None:
    if not _installed():
        # One line and the exit code of a wrong call, instead of a traceback for every test file.
        pytest.exit(NOT_INSTALLED, returncode=2)
    from hypothesis import settings

    settings.register_profile("project", derandomize=True, deadline=None, database=None)
    settings.load_profile("project")


@dataclass(frozen=True)
class Result:
    """What one run of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The object on the last line of stdout, where ``--json`` puts it."""
        lines = self.out.strip().splitlines()
        assert lines, f"no output; exit {self.code}; stderr:\n{self.err[-2000:]}"
        return json.loads(lines[-1])


# Two workers share the machine; more threads in their sub-processes only get into each other's way.
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}


def run_program(
    *argv: str | Path,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
    timeout: float = 300,
) -> Result:
    """Run a program. A value None in *env* removes the variable."""
    merged = {**os.environ, **THREADS}
    for name, value in (env or {}).items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    done = subprocess.run(
        [str(part) for part in argv], capture_output=True, text=True, env=merged, cwd=cwd, timeout=timeout
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def run() -> Callable[..., Result]:
    """Any program as a sub-process, threads capped."""
    return run_program


@pytest.fixture
def run_cli() -> Callable[..., Result]:
    """The command line as a sub-process: ``run_cli("config", "show", env={...}, cwd=...)``.

    To measure time, take coverage out of it: ``env={"COVERAGE_PROCESS_CONFIG": None}``.
    """

    def call(*args: str | Path, **options: Any) -> Result:
        return run_program(sys.executable, "-m", "codex_ml", *args, **options)

    return call


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CODEX_HOME that is also the current directory; no other CODEX_* variable is set."""
    for name in [name for name in os.environ if name.startswith("CODEX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path
