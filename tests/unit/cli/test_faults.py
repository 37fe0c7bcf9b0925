"""A failure is blamed on the code that raised it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_ml.cli.faults import OWN, whose
from codex_ml.core.digest import canonical_json
from codex_ml.registry import plugins

SOURCE = """
import json
from codex_ml.core.digest import canonical_json
def breaks(): raise KeyError("mine")
def breaks_in_the_library(): json.loads("{")
def misuses(): canonical_json(object())
def calls(function): function()
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    info = tmp_path / "faulty_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[codex_ml.metrics]\nmine = faulty_parts.part:breaks\n")
    for name in ("faulty_parts", "faulty_by_path"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "part.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CODEX_METRIC_PATH", "faulty_by_path.part:breaks")
    plugins.forget()
    yield
    plugins.forget()
    for name in [name for name in sys.modules if name.startswith("faulty_")]:
        del sys.modules[name]


def own_fault() -> None:
    canonical_json(object())


@pytest.mark.parametrize(
    ("module_name", "function", "owner"),
    [
        ("faulty_parts.part", "breaks", "the plugin faulty-parts 1.0"),
        ("faulty_parts.part", "breaks_in_the_library", "the plugin faulty-parts 1.0"),
        ("faulty_parts.part", "misuses", OWN),
        ("faulty_by_path.part", "breaks", "the component faulty_by_path.part:breaks"),
    ],
)
def test_the_innermost_package_that_is_known_is_named(module_name: str, function: str, owner: str) -> None:
    part = importlib.import_module(module_name)
    with pytest.raises((KeyError, TypeError, ValueError)) as caught:
        getattr(part, function)()
    assert whose(caught.value) == owner


def test_without_a_plugin_it_is_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_METRIC_PATH", "written wrongly")
    assert whose(KeyError("never raised")) == OWN
    with pytest.raises(TypeError) as caught:
        own_fault()
    assert whose(caught.value) == OWN
