"""What is known of a sweep before its first trial."""

from __future__ import annotations

from itertools import product

import pytest

from codex_ml.config.space import Choice, Dimension, Interval, grid
from codex_ml.errors import ConfigError
from codex_ml.pipeline.sweep.beforehand import MOST_CHECKED, trials_to_check
from codex_ml.pipeline.sweep.start import prepare

DEFAULTS = {"config_dir": None, "space": None, "trials": None, "jobs": 1, "launcher": "local"}


def refused(*words: str, metric: str = "loss") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        prepare(("experiment=tiny", "name=s", *words), metric=metric, **DEFAULTS)  # type: ignore[arg-type]
    return caught.value


def test_a_combination_of_values_that_are_good_alone_is_checked_too() -> None:
    error = refused("model.dim=64,96", "model.heads=4,6,16")
    assert error.code == "config.heads"
    assert "model.dim=64 model.heads=6" in str(error)


@pytest.mark.parametrize(
    ("metric", "words", "step"),
    [("los", (), "'loss'"), ("parse_rate", ("eval.tasks=[lm]",), "choose one of"), ("nope", (), "choose")],
)
def test_a_metric_that_no_trial_will_have_is_refused(metric: str, words: tuple[str, ...], step: str) -> None:
    error = refused("seed=1,2", *words, metric=metric)
    assert error.code == "sweep.metric"
    assert step in str(error.next_step)


def test_a_metric_that_some_trial_or_every_run_has_is_taken() -> None:
    for metric, tasks in (
        ("parse_rate", "eval.tasks=[lm],[parse]"),
        ("tokens_per_second", "eval.tasks=[lm]"),
    ):
        asked, _ = prepare(("experiment=tiny", "seed=1,2", tasks), metric=metric, **DEFAULTS)  # type: ignore[arg-type]
        assert asked.metric == metric


@pytest.mark.parametrize(
    ("words", "code"),
    [(("train.lr=",), "config.value"), (("name=a,b",), "config.value"), (("seed=1",), "sweep.nothing")],
)
def test_words_that_vary_nothing_are_told_by_what_is_wrong_with_them(
    words: tuple[str, ...], code: str
) -> None:
    assert refused(*words).code == code


@pytest.mark.parametrize("sizes", [(1,), (3, 4), (2, 40), (200,), (100, 100), (31, 2), (1, 1, 1)])
def test_of_many_trials_each_value_comes_first_and_both_ends_are_checked(sizes: tuple[int, ...]) -> None:
    dimensions: list[Dimension] = [
        Choice(f"k{at}", tuple(map(str, range(size)))) for at, size in enumerate(sizes)
    ]
    trials = grid(dimensions)
    found = trials_to_check(dimensions, trials)
    assert len(found) == len(set(found)) == min(len(trials), MOST_CHECKED)
    assert set(found) <= set(trials)
    assert found[0] == trials[0]
    if sum(sizes) <= MOST_CHECKED:
        words = {f"k{at}={value}" for at, size in enumerate(sizes) for value in range(size)}
        assert words == {word for row in found for word in row}
        assert trials[-1] in found


def test_of_an_interval_the_ends_are_checked() -> None:
    found = trials_to_check(
        [Interval("a", 0.5, 2.0, whole=False, log=False), Interval("b", 1, 9, whole=True, log=False)], []
    )
    assert set(found) == set(product(("a=0.5", "a=2.0"), ("b=1", "b=9"))) - {("a=2.0", "b=9")}
