"""One tiny trained run, shared by the tests of a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Result]) -> Path:
    """A workspace with the finished run ``tiny``."""
    home = tmp_path_factory.mktemp("trained") / "home"
    home.mkdir()
    done = cli(home, "pipeline", "run", "experiment=tiny", "--json")
    assert done.code == 0, done.err
    return home
