"""Equal command, equal bits: twins, a resume at every step, accumulation, compiled code, data order."""

from __future__ import annotations

import json
import shutil

import pytest

pytestmark = pytest.mark.needs("train", "report")


def test_twin_runs_have_equal_weights_state_and_journal(train_small, state_digest, small_home) -> None:
    one, two = (train_small(name) for name in ("twin-a", "twin-b"))
    assert state_digest(one.outcome.checkpoint.path) == state_digest(two.outcome.checkpoint.path)
    assert one.directory.journal.read_bytes() == two.directory.journal.read_bytes()


def test_another_seed_gives_other_weights(train_small) -> None:
    one, two = (train_small(f"seed-{seed}", seed=seed) for seed in (1, 2))
    assert one.outcome.checkpoint.weights != two.outcome.checkpoint.weights


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_resume_from_every_step_ends_with_the_same_bits(optimizer: str, train_small, state_digest) -> None:
    name = f"resume-{optimizer}"
    whole = train_small(name, train__optimizer__name=optimizer)
    expected = state_digest(whole.outcome.checkpoint.path)
    journal = whole.directory.journal.read_bytes()
    for step in range(1, 8):
        for later in range(step + 1, 9):
            shutil.rmtree(whole.directory.checkpoints / f"step-{later:08d}", ignore_errors=True)
        again = train_small(name, train__optimizer__name=optimizer)
        assert again.outcome.resumed_from == step
        assert state_digest(again.outcome.checkpoint.path) == expected, step
        assert whole.directory.journal.read_bytes() == journal, step


def test_a_named_checkpoint_is_the_one_resumed(train_small, state_digest) -> None:
    whole = train_small("named")
    middle = whole.directory.checkpoints / "step-00000003"
    copy = whole.directory.path / "kept" / middle.name
    shutil.copytree(middle, copy)
    shutil.rmtree(whole.directory.checkpoints)
    again = train_small("named", resume_from=copy)
    assert again.outcome.resumed_from == 3
    assert again.outcome.checkpoint.weights == whole.outcome.checkpoint.weights


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(train_small) -> None:
    whole = train_small("damaged")
    newest = whole.directory.checkpoints / "step-00000008" / "model.safetensors"
    raw = bytearray(newest.read_bytes())
    raw[-1] ^= 1
    newest.write_bytes(bytes(raw))
    again = train_small("damaged")
    assert again.outcome.resumed_from == 7
    assert again.outcome.checkpoint.weights == whole.outcome.checkpoint.weights
    aside = list(whole.directory.checkpoints.glob(".corrupt-step-00000008-*"))
    assert len(aside) == 1
    assert "model.safetensors" in (aside[0] / "REASON.txt").read_text()


def test_shards_change_the_bits_a_little_and_the_data_order_not_at_all(train_small) -> None:
    one, four = train_small("shards-1"), train_small("shards-4", runtime__shards=4)
    lines = [
        [json.loads(line) for line in work.directory.journal.read_text().splitlines()] for work in (one, four)
    ]
    assert [line["samples"] for line in lines[0]] == [line["samples"] for line in lines[1]]
    losses = [[float.fromhex(line["loss"]) for line in run] for run in lines]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


ELASTIC = {"runtime__determinism": "elastic", "runtime__shards": 4, "train__batch_size": 8}


@pytest.mark.parametrize("options", [{}, ELASTIC], ids=["exact", "elastic"])
def test_a_run_with_dropout_resumes_to_the_same_bits(
    options: dict[str, object], train_small, state_digest
) -> None:
    """Its draws come from the numbers of step and shard, so that none has to be restored."""
    words = {"model__dropout": 0.1, **options}
    name = "dropout-" + "-".join(str(value) for value in options.values())
    whole = train_small(name, **words)
    expected, journal = state_digest(whole.outcome.checkpoint.path), whole.directory.journal.read_bytes()
    for step in (8, 7, 6):
        for found in whole.directory.checkpoints.glob(f"step-{step:08d}*"):
            shutil.rmtree(found)
    again = train_small(name, **words)
    assert again.outcome.resumed_from == 5
    assert state_digest(again.outcome.checkpoint.path) == expected
    assert whole.directory.journal.read_bytes() == journal


def test_dropout_is_not_for_nothing(train_small) -> None:
    one, two = (train_small(f"dropped-{share}", model__dropout=share) for share in (0.0, 0.1))
    assert one.outcome.checkpoint.weights != two.outcome.checkpoint.weights


def test_saving_beside_training_changes_no_bit_of_any_checkpoint(train_small, state_digest) -> None:
    runs = [train_small(f"beside-{flag}", checkpoint__background=flag) for flag in ("true", "false")]
    one, two = (
        {path.name: state_digest(path) for path in run.directory.checkpoints.glob("step-*")} for run in runs
    )
    assert sorted(one) == [f"step-{step:08d}" for step in range(1, 9)]
    assert one == two


def test_more_steps_of_a_constant_schedule_give_the_bits_of_a_run_planned_for_them(
    train_small, state_digest
) -> None:
    words = {"train__schedule__name": "constant", "eval__every": 0, "checkpoint__keep_best": 0}
    grown = [train_small("grown", train__steps=steps, **words) for steps in (5, 8)][-1]
    planned = train_small("planned", train__steps=8, **words)
    assert grown.outcome.resumed_from == 5
    assert state_digest(grown.outcome.checkpoint.path) == state_digest(planned.outcome.checkpoint.path)
    assert grown.directory.journal.read_bytes() == planned.directory.journal.read_bytes()


def test_a_compiled_bfloat16_run_resumes_to_the_same_bits(train_small, state_digest) -> None:
    pytest.importorskip("torch")
    from codex_ml.training.resolve import compiler_failure

    if compiler_failure("cpu") is not None:
        pytest.fail("this check needs a C++ compiler (Debian: apt install g++)")
    options = {"runtime__compile": "true", "runtime__dtype": "bfloat16"}
    whole = train_small("compiled", **options)
    expected = state_digest(whole.outcome.checkpoint.path)
    for step in (8, 7, 6, 5):
        shutil.rmtree(whole.directory.checkpoints / f"step-{step:08d}")
    again = train_small("compiled", **options)
    assert again.outcome.resumed_from == 4
    assert state_digest(again.outcome.checkpoint.path) == expected
