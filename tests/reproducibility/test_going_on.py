"""Going on after the end, other weights to start from, and models that no worker holds whole."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codex_ml.errors import ConfigError, UsageError

pytestmark = pytest.mark.needs("train", "report")


def test_more_steps_of_a_schedule_that_has_bent_already_are_refused(train_small) -> None:
    train_small("bent", train__schedule__name="cosine")
    with pytest.raises(UsageError) as caught:
        train_small("bent", train__schedule__name="cosine", train__steps=16)
    assert caught.value.code == "run.horizon"
    assert "train.init_from=bent" in str(caught.value)


def test_a_new_run_starts_from_the_weights_of_another_and_names_it(train_small) -> None:
    parent = train_small("parent")
    child = train_small("child", train__init_from="parent", train__steps=4)
    record = child.directory.read()
    weights = parent.outcome.checkpoint.weights
    assert record["parents"] == [{"run": "parent", "step": 8, "weights_sha256": weights}]
    assert record["inputs"]["initial_weights"] == weights
    first = [json.loads(work.directory.journal.read_text().splitlines()[0]) for work in (parent, child)]
    losses = [float.fromhex(record["loss"]) for record in first]
    assert losses[1] < losses[0] - 0.1  # trained weights, the same first batch
    again = train_small("child", train__init_from="parent", train__steps=4)
    assert again.outcome.already_finished


def test_the_same_words_with_resume_from_do_not_throw_later_steps_away(train_small) -> None:
    whole = train_small("named-twice")
    named = whole.directory.checkpoints / "step-00000003"
    first = train_small("named-twice", resume_from=named)
    assert first.outcome.resumed_from == 3
    shutil.rmtree(whole.directory.checkpoints / "step-00000008")
    again = train_small("named-twice", resume_from=named)
    assert again.outcome.resumed_from == 7
    assert again.outcome.checkpoint.weights == whole.outcome.checkpoint.weights


def test_a_grade_once_lowered_stays_so(train_small, monkeypatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_DETERMINISTIC", "0")
    first = train_small("lowered")
    assert first.directory.read()["resolved"]["grade"] == "statistical"
    monkeypatch.delenv("TORCHINDUCTOR_DETERMINISTIC")
    shutil.rmtree(first.outcome.checkpoint.path)
    record = train_small("lowered").directory.read()
    assert record["resolved"]["grade"] == "statistical"
    assert record["resolved"]["lowered_by"] == ["TORCHINDUCTOR_DETERMINISTIC=0"]


def test_a_validation_loss_without_end_is_no_gain_and_no_fault(train_small, monkeypatch) -> None:
    from codex_ml.training.session import Session

    endless = {"loss": math.nan, "perplexity": math.inf, "token_accuracy": 0.5}
    monkeypatch.setattr(Session, "evaluate", lambda _, before_batch: endless)
    done = train_small("endless")
    assert done.outcome.checkpoint.state()["best_loss"] is None
    assert done.outcome.checkpoint.manifest["metrics"] == {"token_accuracy": 0.5}


def test_weights_of_another_shape_or_tokenizer_are_refused_by_name(train_small) -> None:
    train_small("parent")
    with pytest.raises(UsageError) as caught:
        train_small("misfit", train__init_from="parent", tokenizer__vocab_size=310)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.code == "config.init-tokenizer"


def torchrun(home: Path, workers: int, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(workers)]
    return subprocess.Popen(
        [*command, "-m", "codex_ml", "train", *words],
        env={**os.environ, "CODEX_HOME": str(home), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


#: Beside what ``train_small`` sets.
SHARDED = {
    "train__optimizer__name": "adamw",
    "train__steps": 24,
    "checkpoint__every": 8,
    "runtime__shards": 4,
    "runtime__sharding": "fsdp2",
    "model__dropout": 0.1,
}


def sharded_words(home: Path, name: str) -> list[str]:
    """The words of `train_small` for the command line."""
    return [
        *("experiment=tiny", f"name={name}", "data.source=files", f"data.path={home / 'code'}"),
        *("data.include=[]", "tokenizer.vocab_size=300", "model.context=32", "eval.every=4"),
        *("train.schedule.warmup_steps=2", "checkpoint.keep_last=50"),
        *(f"{key.replace('__', '.')}={value}" for key, value in SHARDED.items()),
    ]


def test_a_sharded_model_alone_has_the_bits_of_a_whole_one(train_small) -> None:
    common = {"train__optimizer__name": "adamw", "model__dropout": 0.1, "runtime__shards": 4}
    whole = train_small("not-sharded", **common)
    sharded = train_small("sharded", runtime__sharding="fsdp2", **common)
    assert sharded.outcome.checkpoint.weights == whole.outcome.checkpoint.weights
    assert sharded.outcome.checkpoint.sharded
    assert sharded.target.weights.name == f"{whole.outcome.checkpoint.weights}.safetensors"


def test_two_sharded_workers_stopped_by_one_signal_go_on_as_one(small_home, train_small) -> None:
    from codex_ml.checkpointing.digest import weights_digest

    journal = small_home / "runs" / "two-then-one" / "journal.jsonl"
    process = torchrun(small_home, 2, *sharded_words(small_home, "two-then-one"))
    limit = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < limit:
        if journal.exists() and journal.read_bytes().count(b"\n") >= 9:
            break
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGTERM)  # one worker of the two
    out, _ = process.communicate(timeout=120)
    assert "the state is saved" in out, out[-3000:]
    again = train_small("two-then-one", **SHARDED)
    record = again.directory.read()
    assert [segment["workers"] for segment in record["segments"]] == [2, 1]
    assert record["resolved"]["grade"] == "statistical"
    assert record["resolved"]["lowered_by"] == ["workers 2 -> 1"]
    assert weights_digest(again.target.weights) == again.outcome.checkpoint.weights
    alone = train_small("one-alone", **SHARDED)
    losses = [
        [float.fromhex(json.loads(line)["loss"]) for line in work.directory.journal.read_text().splitlines()]
        for work in (again, alone)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
