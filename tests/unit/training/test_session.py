"""A run put together from its config, and put back into the state of a checkpoint."""

from __future__ import annotations

import dataclasses
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


def advance(session: Any, steps: int) -> None:
    from codex_ml.training.loop import run_steps

    loop = run_steps(session.trainee, cfg=session.config.train, batch_of=session.batches)
    for _ in range(steps):
        next(loop)


def saved(session: Any, path: Path) -> Any:
    from codex_ml.checkpointing import CheckpointManager
    from codex_ml.training.session import save

    return save(session, CheckpointManager(path, keep_last=9, keep_best=1))


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


def test_a_restored_session_is_the_saved_one_and_goes_on_as_it(session_of, tmp_path: Path) -> None:
    first = session_of()
    advance(first, 3)
    second = restored(session_of(), saved(first, tmp_path))
    assert state(second) == state(first)
    for session in (first, second):
        advance(session, 3)
    assert state(second) == state(first)


def test_a_run_whose_updates_were_all_skipped_can_be_resumed(session_of, tmp_path: Path) -> None:
    first = session_of("train.guard.action=skip")
    sick = dataclasses.replace(
        first.trainee, loss_of=lambda *batch: first.trainee.loss_of(*batch) * float("nan")
    )
    advance(dataclasses.replace(first, trainee=sick), 2)
    assert first.trainee.progress.skipped == 2
    second = restored(session_of("train.guard.action=skip"), saved(first, tmp_path))
    assert state(second) == state(first)
    advance(second, 1)


def test_state_of_an_optimizer_that_made_updates_cannot_be_missing(session_of, tmp_path: Path) -> None:
    from codex_ml.checkpointing import CheckpointManager

    first = session_of()
    advance(first, 1)
    bare = CheckpointManager(tmp_path, keep_last=2, keep_best=0).save(
        1,
        model=first.trainee.model.state_dict(),
        optimizer={},
        state=first.trainee.progress.as_dict(),
        metric=None,
    )
    with pytest.raises(CheckpointLoadError) as caught:
        restored(session_of(), bare)
    assert caught.value.code == "checkpoint.optimizer"


@pytest.mark.parametrize("word", ["model.layers=3", "model.dim=32", "model.tie_embeddings=false"])
def test_the_weights_of_another_model_are_refused_by_name(word: str, session_of, tmp_path: Path) -> None:
    first = session_of()
    advance(first, 1)
    with pytest.raises(CheckpointLoadError) as caught:
        restored(session_of(word), saved(first, tmp_path))
    assert caught.value.code == "checkpoint.model"
    assert "model." in str(caught.value) or "lm_head" in str(caught.value)


def test_a_checkpoint_is_ranked_by_an_evaluation_at_its_own_step_only(session_of, tmp_path: Path) -> None:
    session = session_of("checkpoint.metric=perplexity")
    advance(session, 1)
    progress = session.trainee.progress
    progress.last_evaluation = {"loss": 2.0, "perplexity": 7.5, "step": 1}
    assert saved(session, tmp_path).manifest["metric"] == 7.5
    advance(session, 1)
    assert saved(session, tmp_path).manifest["metric"] is None


def test_an_evaluation_changes_nothing_that_training_depends_on(session_of) -> None:
    one, two = session_of(), session_of()
    for session in (one, two):
        advance(session, 1)
        if session is two:
            values = session.evaluate()
            assert values["loss"] > 0 and session.trainee.model.training
        advance(session, 1)
    assert state(one) == state(two)


def test_fewer_rows_than_a_batch_are_refused_before_the_first_step(session_of) -> None:
    with pytest.raises(DataError) as caught:
        session_of("train.batch_size=100000")
    assert caught.value.code == "data.too-small"
    assert "train.batch_size=100000" in str(caught.value)
