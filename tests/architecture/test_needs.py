"""The rule about optional packages: a named skip without extras, a failure where everything is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import needs
from sources import ROOT

MARKED = """
import pytest
import no_such_package
pytestmark = pytest.mark.needs("train")
def test_it() -> None: ...
"""
SKIPS = "import pytest\ndef test_it() -> None:\n    pytest.importorskip('no_such_package')\n"
# The packages of every extra are reported absent, whatever is installed.
STUB = "import needs\nneeds._present = lambda name: False\npytest_plugins = ['needs']\n"


@pytest.fixture
def suite(run: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def call(source: str, *options: str) -> Any:
        (tmp_path / "conftest.py").write_text(STUB)
        (tmp_path / "test_planted.py").write_text(source)
        argv = ("-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *options, str(tmp_path))
        env = {"PYTHONPATH": str(ROOT / "tests"), "COVERAGE_PROCESS_CONFIG": None}
        return run(sys.executable, *argv, cwd=tmp_path, env=env)

    return call


def test_a_module_whose_extra_is_absent_fails_where_everything_should_be_installed(
    suite: Callable[..., Any],
) -> None:
    result = suite(MARKED)
    assert result.code == 2
    assert "needs the extra 'train', absent:" in result.out


def test_a_module_whose_extra_is_absent_is_skipped_with_the_reason_and_not_imported(
    suite: Callable[..., Any],
) -> None:
    result = suite(MARKED, "--without-extras")
    assert "1 skipped" in result.out
    assert "needs the extra 'train', absent:" in result.out


def test_a_test_that_skips_itself_for_a_missing_package_fails(suite: Callable[..., Any]) -> None:
    result = suite(SKIPS)
    assert result.code == 1
    assert "skipped for a missing package" in result.out


def test_the_marker_of_a_module_is_read_without_importing_it(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text("import pytest\npytestmark = [pytest.mark.slow, pytest.mark.needs('train', 'report')]\n")
    assert list(needs.module_needs(path)) == ["train", "report"]


def test_nothing_of_any_extra_is_missing_here() -> None:
    assert {extra: needs.missing(extra) for extra in ("train", "report", "dev")} == {
        "train": [],
        "report": [],
        "dev": [],
    }
