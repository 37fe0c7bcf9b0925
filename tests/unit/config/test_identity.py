from __future__ import annotations

import typing
from functools import cache
from typing import Any

import pytest

from codex_ml.config.compose import compose
from codex_ml.config.identity import config_digest, differences, identity_values
from codex_ml.config.keys import all_keys, flatten, sections
from codex_ml.config.schema import RunConfig
from codex_ml.config.validate import decode_saved


@cache
def config(*words: str) -> RunConfig:
    return compose(words, environ={}).config


def changed(base: RunConfig, path: str) -> RunConfig:
    """*base* with another valid value at *path*, whatever its type."""
    values: dict[str, Any] = {}
    for name, value in flatten(base).items():
        section = values
        *folders, leaf = name.split(".")
        for folder in folders:
            section = section.setdefault(folder, {})
        section[leaf] = _other(name, value) if name == path else value
    return decode_saved(values)


def _other(path: str, value: Any) -> Any:
    choices = {"runtime.device": "cpu", "runtime.compile": True, "runtime.threads": 3}
    if path in choices:
        return choices[path]
    if typing.get_origin(all_keys()[path].type) is typing.Literal:
        return next(item for item in typing.get_args(all_keys()[path].type) if item != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 if value else 0.25
    if isinstance(value, list):
        return [*value, "more"]
    return "other"


@pytest.mark.parametrize("path", sorted(all_keys()))
def test_the_role_of_a_key_decides_what_its_change_does(path: str) -> None:
    base = config()
    other = changed(base, path)
    role = all_keys()[path].role
    assert [(item.key, item.role) for item in differences(base, other)] == [(path, role)]
    assert (identity_values(base) != identity_values(other)) == (role == "identity")
    assert config_digest(base) != config_digest(other)


def test_the_fixed_operational_and_horizon_keys_have_their_roles() -> None:
    roles = {path: key.role for path, key in all_keys().items()}
    assert {path for path, role in roles.items() if role == "horizon"} == {"train.steps"}
    assert {"name", "data.path", "tokenizer.path", "tracking.sinks", "checkpoint.every"} <= {
        path for path, role in roles.items() if role == "operational"
    }


def test_differences_can_be_asked_by_role_and_read_as_lines() -> None:
    one, two = config(), config("seed=1", "train.steps=2000", "checkpoint.every=7")
    assert [item.key for item in differences(one, two)] == ["seed", "train.steps", "checkpoint.every"]
    assert [item.line() for item in differences(one, two, roles=["horizon"])] == ["train.steps: 1000 -> 2000"]
    assert differences(one, one) == []


def test_every_key_says_what_it_means_and_sections_hold_keys() -> None:
    for path, key in all_keys().items():
        assert key.doc and key.type_name, path
    assert {"train", "train.optimizer", "data.split", "eval.parse"} <= sections()
    assert not sections() & set(all_keys())
