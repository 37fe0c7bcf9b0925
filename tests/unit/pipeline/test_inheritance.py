from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.paths import Home
from codex_ml.pipeline.inheritance import Sighting, inherited

pytestmark = pytest.mark.needs("train")
SEEN = Sighting("base", "trained", "a.py", "ab" * 32, steps=(60, 80))


def started_from(run: str, step: int, weights: str = "w") -> dict[str, Any]:
    return {"parents": [{"run": run, "step": step, "weights_sha256": weights}], "inputs": {}}


def found(home: Home, records: dict[str, Any], seen: Sighting = SEEN) -> dict[str, str]:
    return {row.run: row.through for row in inherited({seen.run: {"inputs": {}}, **records}, [seen], home)}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_only_who_began_after_the_document_was_seen_inherits_it(home: Home) -> None:
    records = {"early": started_from("base", 40), "late": started_from("base", 60)}
    assert found(home, records) == {"late": "base"}


def test_it_is_inherited_through_any_number_of_runs(home: Home) -> None:
    records = {
        "third": started_from("second", 5),
        "second": started_from("first", 5),
        "first": started_from("base", 80),
        "stranger": started_from("other", 80),
        "other": {"inputs": {}},
    }
    assert found(home, records) == {"first": "base", "second": "first", "third": "second"}


def test_a_parent_is_known_by_its_weights_when_its_name_was_given_again(home: Home) -> None:
    old = "base.archived-20260101-000000-abcd"
    records = {
        old: {"inputs": {}, "result": {"weights_sha256": "w"}},
        "child": started_from("base", 80, "w"),
    }
    # The run that has the name now saw the document, the one that the child goes on from did not.
    assert found(home, records) == {}
    moved = Sighting(old, "trained", "a.py", "ab" * 32, steps=(60,))
    again = {"base": {"inputs": {}, "result": {"weights_sha256": "x"}}, **records}
    assert found(home, again, moved) == {"child": old}


def test_a_fine_tuned_run_inherits_from_whoever_made_its_base(home: Home) -> None:
    export = home.runs / "base" / "export"
    export.mkdir(parents=True)
    (export / "MANIFEST.json").write_text(json.dumps({"weights_sha256": "cd" * 32}), encoding="utf-8")
    damaged = home.runs / "tuned" / "export"
    damaged.mkdir(parents=True)
    (damaged / "MANIFEST.json").write_text("{", encoding="utf-8")
    assert found(home, {"tuned": {"inputs": {"base_weights": "cd" * 32}}}) == {"tuned": "base"}
