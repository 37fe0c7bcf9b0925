from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.config.schema import GuardConfig
from codex_ml.errors import TrainingError
from codex_ml.training.guard import objection, refuse_or_skip, remember
from codex_ml.training.state import Progress

pytestmark = pytest.mark.needs("train")
GUARD = GuardConfig(action="stop", spike_factor=4.0, window=8, max_skips=2)
SKIP = "train.guard.action=skip"
WORDS = ("train.steps=6", "train.batch_size=4", "train.schedule.warmup_steps=2", "train.guard.window=4")


def bits(model: Any) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


@pytest.fixture
def poisoned(trainee_of, config_of) -> Callable[..., Any]:
    """A trainee whose loss is multiplied by a factor at given (0-based) steps, and its config."""

    def build(factors: dict[int, float], *words: str) -> Any:
        trainee = trainee_of(*WORDS, *words)
        sound, progress = trainee.loss_of, trainee.progress

        def loss_of(batch: Any) -> Any:
            return sound(batch) * factors.get(progress.step, 1.0)

        cfg = config_of("model.context=32", *WORDS, *words).train
        return dataclasses.replace(trainee, loss_of=loss_of), cfg

    return build


# ---- the loop ------------------------------------------------------------------------------------


def test_the_loop_is_a_generator_that_does_nothing_until_it_is_asked(poisoned, batch_of, steps_of) -> None:
    trainee, cfg = poisoned({})
    steps = steps_of(trainee, cfg, batch_of)
    assert isinstance(steps, types.GeneratorType)
    start = bits(trainee.model)
    assert trainee.progress.step == 0 and bits(trainee.model) == start
    info = next(steps)
    assert (info.step, trainee.progress.step, info.tokens, info.skipped) == (1, 1, 32, None)
    assert bits(trainee.model) != start
    after_one = bits(trainee.model)
    assert bits(trainee.model) == after_one
    assert [info.step for info in steps] == [2, 3, 4, 5, 6]
    progress = trainee.progress
    assert (progress.step, progress.tokens, progress.samples, progress.skipped) == (6, 6 * 32, 24, 0)
    assert len(progress.recent_losses) == 4
    assert list(steps_of(trainee, cfg, batch_of)) == []


def test_the_rate_told_is_the_rate_of_the_schedule(poisoned, batch_of, steps_of) -> None:
    from codex_ml.training.schedule import lr_scale

    trainee, cfg = poisoned({})
    rates = [info.lr for info in steps_of(trainee, cfg, batch_of)]
    assert rates == [cfg.lr * lr_scale(step, steps=6, cfg=cfg.schedule) for step in range(6)]


def test_it_goes_on_from_the_step_of_its_progress_with_the_batches_of_that_step(
    poisoned, batch_of, steps_of
) -> None:
    trainee, cfg = poisoned({})
    trainee.progress.step = 4
    asked: list[int] = []

    def noted(step: int) -> Any:
        asked.append(step)
        return batch_of(step)

    assert [info.step for info in steps_of(trainee, cfg, noted)] == [5, 6]
    assert asked == [4, 5]


def test_early_stop_ends_the_loop_after_the_step_that_asked_for_it(poisoned, batch_of, steps_of) -> None:
    trainee, cfg = poisoned({})
    seen = []
    for info in steps_of(trainee, cfg, batch_of):
        seen.append(info.step)
        trainee.progress.stopped_early = info.step == 3
    assert seen == [1, 2, 3]
    assert list(steps_of(trainee, cfg, batch_of)) == []


def test_training_makes_the_loss_of_a_repeated_batch_fall(trainee_of, config_of, batch_of, steps_of) -> None:
    words = ("train.steps=12", "train.schedule.warmup_steps=2")
    trainee, cfg = trainee_of(*words), config_of("model.context=32", *words).train
    losses = [info.loss for info in steps_of(trainee, cfg, lambda _: batch_of(0))]
    assert losses[-1] < 0.8 * losses[0]


def test_a_step_counts_its_micro_batches_its_tokens_and_its_rows(poisoned, batch_of, steps_of) -> None:
    trainee, cfg = poisoned({})
    steps = steps_of(trainee, cfg, lambda step: batch_of(step, rows=(1, 1, 1, 1)), shards=4)
    for count in (1, 2, 3):
        next(steps)
        progress = trainee.progress
        assert (progress.micro_steps, progress.tokens, progress.samples) == (4 * count, 32 * count, 4 * count)


@pytest.mark.parametrize("order", ["sequence", "tree", "any"])
def test_a_stop_between_two_shards_leaves_no_trace_and_the_step_is_done_again(
    order: str, poisoned, batch_of, steps_of
) -> None:
    """As if the stop had never come: the same bits, whichever shard it came before."""

    from codex_ml.training.step import Abandoned

    def shards(step: int) -> Any:
        return batch_of(step, rows=(1, 1, 1, 1))

    def state(trainee: Any) -> tuple[Any, ...]:
        optimizer = {name: value.numpy().tobytes() for name, value in trainee.optimizers.tensors().items()}
        return bits(trainee.model), optimizer, trainee.progress.as_dict()

    trainee, cfg = poisoned({}, "model.dropout=0.1")
    whole, _ = poisoned({}, "model.dropout=0.1")
    method = {"shards": 4, "order": order}
    assert [info.step for info in steps_of(whole, cfg, shards, **method)] == [1, 2, 3, 4, 5, 6]
    for asked in (1, 2, 3):
        next(steps_of(trainee, cfg, shards, **method))
        before, calls = state(trainee), 0

        def stop(asked: int = asked) -> bool:
            nonlocal calls
            calls += 1
            return calls == asked

        with pytest.raises(Abandoned):
            next(steps_of(trainee, cfg, shards, stop=stop, **method))
        assert calls == asked
        assert state(trainee) == before
    assert [info.step for info in steps_of(trainee, cfg, shards, **method)] == [4, 5, 6]
    assert state(trainee) == state(whole)


def test_a_whole_step_is_not_asked_to_stop(poisoned, batch_of, steps_of) -> None:
    trainee, cfg = poisoned({})
    assert next(steps_of(trainee, cfg, batch_of, stop=lambda: True)).step == 1


def test_the_draws_of_a_micro_batch_follow_from_seed_step_and_shard_alone() -> None:
    import torch

    from codex_ml.training.loop import seed_shard

    def draw(*place: int) -> float:
        seed_shard(*place)
        return float(torch.rand(()))

    places = [(seed, step, shard) for seed in (0, 1) for step in (0, 1) for shard in (0, 1)]
    found = [draw(*place) for place in places]
    torch.rand(17)
    assert [draw(*place) for place in places] == found
    assert len(set(found)) == len(places)


# ---- the guard inside the loop -------------------------------------------------------------------


@pytest.mark.parametrize("factor", [math.nan, math.inf, 100.0])
def test_a_bad_loss_stops_the_run_with_weights_and_progress_untouched(
    factor: float, poisoned, batch_of, steps_of
) -> None:
    trainee, cfg = poisoned({4: factor})
    steps = steps_of(trainee, cfg, batch_of)
    for _ in range(4):
        next(steps)
    weights, progress = bits(trainee.model), trainee.progress.as_dict()
    with pytest.raises(TrainingError) as caught:
        next(steps)
    assert caught.value.code == "train.diverged"
    assert "step 5" in str(caught.value)
    assert bits(trainee.model) == weights
    assert trainee.progress.as_dict() == progress


@pytest.mark.parametrize("factor", [math.nan, 100.0])
def test_a_skipped_update_leaves_weights_and_optimizer_and_is_counted(
    factor: float, poisoned, batch_of, steps_of
) -> None:
    trainee, cfg = poisoned({4: factor}, SKIP)
    steps = steps_of(trainee, cfg, batch_of)
    for _ in range(4):
        next(steps)
    weights, losses = bits(trainee.model), list(trainee.progress.recent_losses)
    state = {name: value.clone() for name, value in trainee.optimizers.tensors().items()}
    info = next(steps)
    assert info.skipped is not None and ("nan" in info.skipped or "median" in info.skipped)
    assert bits(trainee.model) == weights
    assert all(bool((value == state[name]).all()) for name, value in trainee.optimizers.tensors().items())
    assert trainee.progress.recent_losses == losses
    assert (trainee.progress.skipped, trainee.progress.step) == (1, 5)
    assert next(steps).skipped is None
    assert bits(trainee.model) != weights


def test_more_skips_than_allowed_stop_the_run(poisoned, batch_of, steps_of) -> None:
    trainee, cfg = poisoned(dict.fromkeys(range(6), math.nan), SKIP, "train.guard.max_skips=2")
    steps = steps_of(trainee, cfg, batch_of)
    assert [next(steps).step for _ in range(2)] == [1, 2]
    with pytest.raises(TrainingError) as caught:
        next(steps)
    assert caught.value.code == "train.skips"
    assert "max_skips=2" in str(caught.value)


def test_a_gradient_that_is_no_number_is_refused_though_the_loss_is_one(poisoned, batch_of, steps_of) -> None:
    trainee, cfg = poisoned({}, SKIP)
    trainee.model.model.norm.weight.register_hook(lambda grad: grad * math.nan)
    before = bits(trainee.model)
    info = next(steps_of(trainee, cfg, batch_of))
    assert math.isfinite(info.loss)
    assert info.skipped == "the gradient norm is nan"
    assert bits(trainee.model) == before


# ---- the guard alone -----------------------------------------------------------------------------


def test_nothing_is_a_spike_before_the_window_is_full() -> None:
    progress = Progress(recent_losses=[1.0] * 7)
    assert objection(1e9, 1.0, progress=progress, cfg=GUARD) is None
    remember(1.0, progress=progress, cfg=GUARD)
    assert "4 x the running median 1" in str(objection(4.1, 1.0, progress=progress, cfg=GUARD))
    assert objection(3.9, 1.0, progress=progress, cfg=GUARD) is None


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=30))
def test_the_window_holds_the_last_accepted_losses(losses: list[float]) -> None:
    progress = Progress()
    for loss in losses:
        remember(loss, progress=progress, cfg=GUARD)
    assert progress.recent_losses == losses[-8:]


def test_a_fall_is_never_a_spike_and_no_number_always_is() -> None:
    progress = Progress(recent_losses=[5.0] * 8)
    assert objection(0.001, 1.0, progress=progress, cfg=GUARD) is None
    for loss, norm in ((math.nan, 1.0), (-math.inf, 1.0), (1.0, math.inf), (1.0, math.nan)):
        assert objection(loss, norm, progress=progress, cfg=GUARD)


def test_a_zero_allowance_stops_at_the_first_skip() -> None:
    cfg = dataclasses.replace(GUARD, action="skip", max_skips=0)
    with pytest.raises(TrainingError) as caught:
        refuse_or_skip("a reason", progress=Progress(), cfg=cfg)
    assert "a reason" in str(caught.value)
