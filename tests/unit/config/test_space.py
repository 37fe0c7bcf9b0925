from __future__ import annotations

import pytest

from codex_ml.config.compose import dimension_of
from codex_ml.config.space import Choice, Interval, grid
from codex_ml.errors import ConfigError


@pytest.mark.parametrize(
    ("word", "dimension"),
    [
        ("train.lr=1e-3,3e-4", Choice("train.lr", ("0.001", "0.0003"))),
        ("model.layers=choice(2,4)", Choice("model.layers", ("2", "4"))),
        ("seed=range(0,6,step=2)", Choice("seed", ("0", "2", "4"))),
        ("train=adamw,muon", Choice("train", ("adamw", "muon"))),
        ("train.lr=interval(1e-4,1e-2)", Interval("train.lr", 1e-4, 1e-2, whole=False, log=False)),
        ("train.lr=tag(log,interval(1e-4,1e-2))", Interval("train.lr", 1e-4, 1e-2, whole=False, log=True)),
        ("model.layers=interval(1,4)", Interval("model.layers", 1.0, 4.0, whole=True, log=False)),
        ("experiment=tiny", None),
        ("eval.tasks=[lm,parse]", None),
        ("data.path=/a,b/c", None),
    ],
)
def test_hydras_grammar_says_what_is_varied(word: str, dimension: object) -> None:
    assert dimension_of(word) == dimension


def test_a_grid_is_the_product_with_the_last_fastest() -> None:
    assert grid([Choice("a", ("1", "2")), Choice("b", ("x", "y"))]) == [
        ("a=1", "b=x"),
        ("a=1", "b=y"),
        ("a=2", "b=x"),
        ("a=2", "b=y"),
    ]


def test_a_grid_refuses_an_interval_and_says_what_to_do() -> None:
    with pytest.raises(ConfigError) as caught:
        grid([Interval("train.lr", 0.1, 0.2, whole=False, log=False)])
    assert caught.value.code == "sweep.interval" and "--trials" in str(caught.value)


@pytest.mark.parametrize("text", ["interval(2,1)", "interval(1,1)", "tag(log,interval(0,1))"])
def test_an_interval_must_go_upwards_and_have_a_logarithm_where_one_is_asked(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dimension_of(f"train.lr={text}")
    assert caught.value.code == "sweep.interval"


def test_a_word_that_is_no_override_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        dimension_of("train.lr=choice(")
    assert caught.value.code == "config.override"


def test_a_grid_of_more_trials_than_anybody_waits_for_is_refused_at_once() -> None:
    values = tuple(map(str, range(5000)))
    with pytest.raises(ConfigError) as caught:
        grid([Choice(key, values) for key in ("a", "b", "c")])
    assert caught.value.code == "sweep.trials" and "125,000,000,000 trials" in str(caught.value)
    assert len(grid([Choice("a", values), Choice("b", ("1", "2"))])) == 10_000
