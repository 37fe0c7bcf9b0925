"""Each way in which a package moves away from what was made, and that an edited file is no fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from codex_ml.errors import UsageError
from codex_ml.scaffold.drift import Drift, anything_made, drift
from codex_ml.scaffold.project import add_part, new_plugin


@pytest.fixture
def package(tmp_path: Path) -> Path:
    new_plugin("my-parts", tmp_path)
    folder = tmp_path / "my-parts"
    for word, name in (("metric", "exact"), ("tracker", "sink")):
        change = add_part(word, name, folder)
        change.write()
    return folder


def replace(path: str, old: str, new: str) -> Callable[[Path], None]:
    def act(package: Path) -> None:
        text = (package / path).read_text()
        assert old in text
        (package / path).write_text(text.replace(old, new))

    return act


def older(package: Path) -> None:
    path = package / ".codex" / "scaffold.json"
    record = json.loads(path.read_text())
    record["items"][1]["contract"] = 0
    path.write_text(json.dumps(record))


PROJECT, METRIC = "pyproject.toml", "src/my_parts/exact.py"
CASES: dict[str, tuple[Callable[[Path], None], list[Drift]]] = {
    "nothing": (lambda _package: None, []),
    "an edited module": (
        replace(METRIC, "0 to 1", "0 and 1"),
        [Drift("metric exact", f"{METRIC} was edited", harmful=False)],
    ),
    "a test that is gone": (
        lambda package: (package / "tests" / "test_exact.py").unlink(),
        [
            Drift("metric exact", "tests/test_exact.py is gone", harmful=True),
            Drift("metrics/exact", "no file of tests/ names its module", harmful=True),
        ],
    ),
    "a module that is gone": (
        lambda package: (package / METRIC).unlink(),
        [
            Drift("metric exact", f"{METRIC} is gone", harmful=True),
            Drift("metrics/exact", "my_parts.exact:exact leads nowhere", harmful=True),
        ],
    ),
    "a function of another name": (
        replace(METRIC, "def exact", "def exactly"),
        [
            Drift("metric exact", f"{METRIC} was edited", harmful=False),
            Drift("metrics/exact", "my_parts.exact:exact leads nowhere", harmful=True),
        ],
    ),
    "a module that is no Python": (
        replace(METRIC, "def exact", "def exact("),
        [
            Drift("metric exact", f"{METRIC} was edited", harmful=False),
            Drift("metrics/exact", "my_parts.exact:exact leads nowhere", harmful=True),
        ],
    ),
    "an entry point that is gone": (
        replace(PROJECT, 'sink = "my_parts.sink:Sink"\n', ""),
        [Drift("tracker sink", "pyproject.toml does not register it in codex_ml.trackers", harmful=True)],
    ),
    "a contract that has moved on": (
        older,
        [Drift("tracker sink", "made for contract 0; this version has 1", harmful=True)],
    ),
    "an entry point to nowhere": (
        replace(PROJECT, "my_parts.sink:Sink", "my_parts.sinks:Sink"),
        [Drift("trackers/sink", "my_parts.sinks:Sink leads nowhere", harmful=True)],
    ),
    "an entry point to another package": (replace(PROJECT, "my_parts.sink:Sink", "elsewhere.sink:Sink"), []),
    "an entry point of another group": (
        replace(PROJECT, "[tool", '[project.entry-points.console_scripts]\nx = "a:b"\n\n[tool'),
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_told(case: str, package: Path) -> None:
    act, wanted = CASES[case]
    act(package)
    assert drift(package) == wanted


def test_a_misspelt_group_is_told_and_the_part_is_not_registered(package: Path) -> None:
    replace(PROJECT, "codex_ml.trackers", "codex_ml.trakers")(package)
    unregistered, unknown = drift(package)
    assert (unregistered.part, unregistered.harmful) == ("tracker sink", True)
    assert (unknown.part, unknown.harmful) == ("codex_ml.trakers", True)
    assert "there is no such group" in unknown.what


def test_without_a_record_only_entry_points_are_looked_at(package: Path) -> None:
    (package / ".codex" / "scaffold.json").unlink()
    assert drift(package) == []
    (package / "tests" / "test_exact.py").unlink()
    assert [(row.part, row.what) for row in drift(package)] == [
        ("metrics/exact", "no file of tests/ names its module")
    ]
    (package / METRIC).unlink()
    assert [row.what for row in drift(package)] == ["my_parts.exact:exact leads nowhere"]


def test_a_package_without_a_part_is_not_said_to_be_as_it_was_made(package: Path, tmp_path: Path) -> None:
    assert anything_made(package)
    (empty,) = {path.parent for path in new_plugin("bare", tmp_path) if path.name == "pyproject.toml"}
    assert not anything_made(empty)


def test_names_that_come_by_import_count(package: Path) -> None:
    (package / METRIC).write_text("from my_parts._impl import exact\n")
    assert [row.harmful for row in drift(package)] == [False]
    (package / METRIC).write_text("from my_parts._impl import *\n")
    assert [row.harmful for row in drift(package)] == [False]


def test_entry_points_of_another_form_are_an_error(package: Path) -> None:
    (package / PROJECT).write_text('[project]\nname = "my-parts"\nentry-points = 3\n')
    with pytest.raises(UsageError, match="no table of tables"):
        drift(package)
