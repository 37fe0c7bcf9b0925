"""What can be told about a component without calling it, and for which contract it says it was written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from codex_ml.errors import LoadError
from codex_ml.registry.builtins import BUILTINS
from codex_ml.registry.contracts import CONTRACTS, check_version, lacking


class Tracker:
    def write(self, records: Any) -> None: ...
    def sync(self) -> None: ...
    def close(self, status: Any, artifacts: Any) -> None: ...


class WithoutSync:
    write = close = Tracker.write


@pytest.mark.parametrize(
    ("kind", "component", "missing"),
    [
        ("trackers", Tracker, None),
        ("trackers", WithoutSync, "has no sync"),
        ("trackers", lambda context: Tracker(), None),  # a function is known by what it gives
        ("trackers", "text", "is a str, which cannot be called"),
        ("metrics", max, None),
        ("metrics", 3, "is a int, which cannot be called"),
        ("reward_models", Tracker, "has no evaluate, batch_evaluate, learn"),
        ("audit_rules", SimpleNamespace(id=1, severity=1, title=1, why=1, source=1, tree=1), None),
        ("audit_rules", Tracker, "has no id, severity, title, why, source, tree"),
        ("commands", Tracker, "has no callback, params, help"),
        ("config_groups", pytest, None),
        ("config_groups", 3, "has no __path__"),
    ],
)
def test_what_is_missing_is_named(kind: str, component: Any, missing: str | None) -> None:
    assert lacking(kind, component) == missing


def test_a_module_that_says_nothing_of_a_kind_is_for_its_first_contract() -> None:
    for declared in (1, {}, {"metrics": 1}, {"models": 9}):
        check_version("metrics", declared, who="'mine'")
    with pytest.raises(LoadError):
        check_version("models", {"models": 9}, who="'mine'")


@pytest.mark.parametrize("declared", [2, 0, "1", None, {"metrics": 2}, {"metrics": None}])
def test_another_contract_is_refused_by_both_versions(declared: object) -> None:
    with pytest.raises(LoadError, match=r"contract 1: a function \(predictions") as caught:
        check_version("metrics", declared, who="'mine'")
    assert caught.value.code == "plugin.contract"
    assert "'mine' was written for another version" in str(caught.value)


def test_what_is_built_in_is_of_a_kind_with_a_contract() -> None:
    assert set(BUILTINS) <= set(CONTRACTS)
