from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from codex_ml.core.optional import require
from codex_ml.errors import MissingExtraError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make an importable package ``codex_probe`` with the given source."""
    monkeypatch.syspath_prepend(tmp_path)

    def build(source: str) -> None:
        (tmp_path / "codex_probe").mkdir()
        (tmp_path / "codex_probe" / "__init__.py").write_text(source)

    yield build
    for name in [name for name in sys.modules if name.startswith("codex_probe")]:
        del sys.modules[name]


def refused(module: str) -> MissingExtraError:
    with pytest.raises(MissingExtraError) as caught:
        require(module, extra="tracking")
    assert caught.value.exit_code == 2
    return caught.value


def test_a_present_module_is_returned() -> None:
    assert require("json", extra="train") is json


@pytest.mark.parametrize("module", ["codex_nowhere", "codex_nowhere.part"])
def test_an_absent_package_names_its_extra(module: str) -> None:
    error = refused(module)
    assert error.code == "extra.missing"
    assert "codex-ml[tracking]" in str(error)
    assert "'codex_nowhere'" in str(error)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("import codex_dependency", "No module named 'codex_dependency'"),
        ("import codex_probe._native", "No module named 'codex_probe._native'"),
        ("from json import nothing", "cannot import name 'nothing'"),
        ("raise OSError('libfoo.so.1: cannot open shared object file')", "libfoo.so.1"),
        ("raise RuntimeError('compiled against another numpy')", "another numpy"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_an_installed_package_that_fails_shows_its_own_error(source: str, shown: str, package) -> None:
    package(source)
    error = refused("codex_probe")
    assert error.code == "extra.broken"
    assert shown in str(error)


def test_a_missing_part_of_an_installed_package_is_broken_not_absent(package) -> None:
    package("")
    assert refused("codex_probe.part.deeper").code == "extra.broken"
