"""A run put together from its config, and put back into the state of a checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.errors import CheckpointLoadError, DataError

pytestmark = pytest.mark.needs("train")
WORDS = (
    *("model.context=32", "tokenizer.vocab_size=300", "train.batch_size=4", "eval.batch_size=4"),
    *("train.steps=6", "train.schedule.warmup_steps=2", "runtime.device=cpu"),
)


@pytest.fixture
def session_of(prepared, config_of):
    import torch

    from codex_ml.training.resolve import resolve
    from codex_ml.training.session import build_session

    torch.set_num_threads(1)

    def build(*words: str) -> Any:
        config = config_of(*WORDS, *words)
        return build_session(
            config,
            resolved=resolve(config, vocab_size=300, before=None),
            dataset=prepared.directory,
            vocab_size=300,
        )

    return build


@pytest.fixture
def advance(steps_of) -> Callable[[Any, int], None]:
    """Train a session for some steps."""

    def run(session: Any, steps: int) -> None:
        loop = steps_of(session.trainee, session.config.train, session.batches)
        for _ in range(steps):
            next(loop)

    return run


def store_of(session: Any, path: Path, *, background: bool = False) -> Any:
    """Its checkpoints, kept all, by the policy of its config."""
    from codex_ml.checkpointing import CheckpointManager, Retention
    from codex_ml.training.distributed import ALONE
    from codex_ml.training.store import CheckpointStore

    policy = dataclasses.replace(Retention.of(session.config.checkpoint), keep_last=9)
    return CheckpointStore(CheckpointManager(path, policy=policy, background=background), ALONE)


def saved(session: Any, path: Path) -> Any:
    store = store_of(session, path)
    store.save(session, scheduled=True)
    return store.result()


def restored(session: Any, checkpoint: Any) -> Any:
    from codex_ml.training.session import restore

    restore(session, checkpoint)
    return session


def state(session: Any) -> tuple[Any, ...]:
    trainee = session.trainee
    return (
        {name: value.numpy().tobytes() for name, value in trainee.model.state_dict().items()},
        {name: value.numpy().tobytes() for name, value in trainee.optimizers.tensors().items()},
        trainee.progress.as_dict(),
    )


def test_a_restored_session_is_the_saved_one_and_goes_on_as_it(session_of, advance, tmp_path: Path) -> None:
    first = session_of()
    advance(first, 3)
    second = restored(session_of(), saved(first, tmp_path))
    assert state(second) == state(first)
    for session in (first, second):
        advance(session, 3)
    assert state(second) == state(first)


def test_a_run_whose_updates_were_all_skipped_can_be_resumed(session_of, advance, tmp_path: Path) -> None:
    first = session_of("train.guard.action=skip")
    sick = dataclasses.replace(
        first.trainee, loss_of=lambda *batch: first.trainee.loss_of(*batch) * float("nan")
    )
    advance(dataclasses.replace(first, trainee=sick), 2)
    assert first.trainee.progress.skipped == 2
    second = restored(session_of("train.guard.action=skip"), saved(first, tmp_path))
    assert state(second) == state(first)
    advance(second, 1)


def test_state_of_an_optimizer_that_made_updates_cannot_be_missing(
    session_of, advance, tmp_path: Path
) -> None:
    from codex_ml.checkpointing import CheckpointManager, Retention

    first = session_of()
    advance(first, 1)
    bare = CheckpointManager(tmp_path, policy=Retention.of(first.config.checkpoint)).save(
        1,
        model=first.trainee.model.state_dict(),
        optimizer={},
        state=first.trainee.progress.as_dict(),
        metrics={},
    )
    with pytest.raises(CheckpointLoadError) as caught:
        restored(session_of(), bare)
    assert caught.value.code == "checkpoint.optimizer"


@pytest.mark.parametrize("word", ["model.layers=3", "model.dim=32", "model.tie_embeddings=false"])
def test_the_weights_of_another_model_are_refused_by_name(
    word: str, session_of, advance, tmp_path: Path
) -> None:
    first = session_of()
    advance(first, 1)
    with pytest.raises(CheckpointLoadError) as caught:
        restored(session_of(word), saved(first, tmp_path))
    assert caught.value.code == "checkpoint.model"
    assert "model." in str(caught.value) or "lm_head" in str(caught.value)


def test_a_checkpoint_is_ranked_by_an_evaluation_at_its_own_step_only(
    session_of, advance, tmp_path: Path
) -> None:
    session = session_of("checkpoint.metric=perplexity")
    advance(session, 1)
    progress = session.trainee.progress
    progress.last_evaluation = {"loss": 2.0, "perplexity": 7.5, "step": 1}
    assert saved(session, tmp_path).manifest["metrics"] == {"loss": 2.0, "perplexity": 7.5}
    assert (tmp_path / "best").read_text() == "step-00000001\n"
    advance(session, 1)
    assert saved(session, tmp_path).manifest["metrics"] == {}
    assert (tmp_path / "best").read_text() == "step-00000001\n"


def test_an_evaluation_is_due_once_at_its_steps_and_at_the_last_one(session_of) -> None:
    session = session_of("eval.every=4")
    progress, due = session.trainee.progress, []
    for step in range(7):
        progress.step = step
        if session.evaluation_due():
            due.append(step)
            progress.last_evaluation = {"loss": 1.0, "step": step}
            assert progress.evaluated and not session.evaluation_due()
    assert due == [4, 6]
    never = session_of("eval.every=0", "checkpoint.keep_best=0")
    never.trainee.progress.step = 6
    assert not never.evaluation_due()


def test_an_evaluation_can_be_left_between_two_batches(session_of) -> None:
    from codex_ml.training.step import Abandoned

    session, calls = session_of("eval.batch_size=2", "eval.max_rows=8"), 0

    def leave() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Abandoned

    with pytest.raises(Abandoned):
        session.evaluate(before_batch=leave)
    assert calls == 3
    assert session.evaluate(before_batch=leave)["loss"] > 0
    assert calls == 3 + 4


def test_a_step_left_inside_an_evaluation_goes_on_as_if_it_had_not_been(
    session_of, advance, tmp_path: Path
) -> None:
    """The save that follows is of a model that trains: dropout is on again after the resume."""
    from codex_ml.training.step import Abandoned

    def leave() -> None:
        raise Abandoned

    words = ("model.dropout=0.2",)
    whole, first = session_of(*words), session_of(*words)
    for session in (whole, first):
        advance(session, 2)
    with pytest.raises(Abandoned):
        first.evaluate(before_batch=leave)
    second = restored(session_of(*words), saved(first, tmp_path))
    for session in (whole, second):
        advance(session, 2)
    assert state(second) == state(whole)


@pytest.mark.parametrize("background", [False, True])
def test_the_result_is_what_was_saved_last_and_a_named_one_is_found_again(
    background: bool, session_of, advance, tmp_path: Path
) -> None:
    session = session_of()
    store = store_of(session, tmp_path, background=background)
    assert store.find(None) is None
    for step in (1, 2):
        advance(session, 1)
        store.save(session, scheduled=True)
        assert store.last_step == step
    assert store.result().step == 2
    again = store_of(session, tmp_path)
    assert again.last_step == 0
    found = again.find(tmp_path / "step-00000001")
    assert (found.step, again.last_step) == (1, 1)


def test_an_evaluation_changes_nothing_that_training_depends_on(session_of, advance) -> None:
    one, two = session_of(), session_of()
    for session in (one, two):
        advance(session, 1)
        if session is two:
            values = session.evaluate(before_batch=lambda: None)
            assert values["loss"] > 0 and session.trainee.model.training
        advance(session, 1)
    assert state(one) == state(two)


def test_fewer_rows_than_a_batch_are_refused_before_the_first_step(session_of) -> None:
    with pytest.raises(DataError) as caught:
        session_of("train.batch_size=100000")
    assert caught.value.code == "data.too-small"
    assert "train.batch_size=100000" in str(caught.value)
