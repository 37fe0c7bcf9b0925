from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.config.compose import compose
from codex_ml.config.environment import environment_values, known_variables, unknown_variables, variable_of
from codex_ml.config.keys import all_keys
from codex_ml.errors import ConfigError


@given(st.sampled_from(sorted(all_keys())))
def test_every_key_has_a_variable_of_its_own(path: str) -> None:
    assert environment_values({variable_of(path): "1", "PATH": "x"}) == {path: "1"}
    assert variable_of(path) in known_variables()


def test_values_of_every_type_can_come_from_variables() -> None:
    environ = {
        "CODEX_SEED": "7",
        "CODEX_TRAIN__LR": "5e-4",
        "CODEX_EVAL__TASKS": "[lm]",
        "CODEX_MODEL__TIE_EMBEDDINGS": "false",
        "CODEX_TOKENIZER__PATH": "null",
        "CODEX_NAME": "a.b",
        "CODEX_TRAIN__OPTIMIZER__NAME": "adamw",
    }
    config = compose(environ=environ).config
    assert (config.seed, config.train.lr, config.eval.tasks) == (7, 5e-4, ("lm",))
    assert (config.model.tie_embeddings, config.tokenizer.path, config.name) == (False, None, "a.b")
    assert config.train.optimizer.name == "adamw"


def test_a_wrong_value_names_its_variable() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(environ={"CODEX_TRAIN__LR": "fast"})
    assert caught.value.code == "config.value"
    assert "environment variable CODEX_TRAIN__LR" in str(caught.value)


def test_several_values_in_a_variable_are_refused() -> None:
    with pytest.raises(ConfigError):
        compose(environ={"CODEX_TRAIN__LR": "1e-3,1e-4"})


def test_a_variable_of_the_form_of_a_key_that_names_none_is_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(environ={"CODEX_TRAIN__LRR": "1"})
    assert caught.value.code == "config.unknown-variable"
    assert "CODEX_TRAIN__LR'" in str(caught.value)


def test_any_other_unknown_variable_is_only_a_warning_with_the_nearest_name() -> None:
    environ = {
        "CODEX_HOEM": "x",
        "CODEX_HOME": "y",
        "CODEX_LOG": "info",
        "OTHER": "z",
        "CODEX_ZZZZZZZZZZZZ": "",
    }
    compose(environ=environ)
    warnings = unknown_variables(environ)
    assert len(warnings) == 2
    assert "CODEX_HOEM" in warnings[0] and "did you mean CODEX_HOME?" in warnings[0]
    assert "CODEX_ZZZZZZZZZZZZ" in warnings[1] and "did you mean" not in warnings[1]
