"""One tiny trained run, shared by the tests of a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Result, run_program

CLI = ("-m", "codex_ml")


@pytest.fixture(scope="session")
def cli() -> Callable[..., Result]:
    """``codex-ml`` in a given workspace, as a sub-process."""
    import sys

    def call(home: Path, *words: str, **options: Any) -> Result:
        env = {"CODEX_HOME": str(home), **options.pop("env", {})}
        return run_program(sys.executable, *CLI, *words, env=env, cwd=home.parent, **options)

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Result]) -> Path:
    """A workspace with the finished run ``tiny``."""
    home = tmp_path_factory.mktemp("trained") / "home"
    home.mkdir()
    done = cli(home, "pipeline", "run", "experiment=tiny", "--json")
    assert done.code == 0, done.err
    return home
