"""Fine-tuning cannot be lost either: adapters, packed rows and both engines end with the same bits."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from reproducibility.harness import FULL, chosen, count, counted, fingerprint, unequal, unsound
from reproducibility.lab import Done, Lab, kill_group, laboratory
from tuning import tuner, tuning_words

pytestmark = pytest.mark.needs("train")

STEPS, SHARDS = 8, 2
KINDS = {
    "lora": ("model.lora.dropout=0.1",),
    "dora": ("model.lora.variant=dora",),
    "full": ("model.lora.r=0", "train.lr=0.001"),
    "one a row": ("data.packing=none", "train.activation_checkpointing=true", "model.lora.dropout=0.1"),
    "hf engine": ("train.engine=hf", "model.lora.dropout=0.1"),
}


def tune(lab: Lab, name: str, kind: str, **options: Any) -> Done:
    return lab.train(name, **words(lab, kind), **options)


def words(lab: Lab, kind: str) -> dict[str, Any]:
    return {"words": tuning_words(lab.home, *KINDS[kind]), "tuning": True}


def whole(lab: Lab, kind: str) -> dict[str, Any]:
    name = f"tuned-{kind.replace(' ', '-')}"
    if not (lab.run(name) / "run.json").exists():
        done = tune(lab, name, kind)
        assert done.code == 0, done.text
    return fingerprint(lab.run(name))


def gone_on(lab: Lab, name: str, kind: str, expected: dict[str, Any]) -> list[str]:
    """What is otherwise once the same command has run again."""
    odd = unsound(lab.run(name))
    done = tune(lab, name, kind)
    if done.code != 0:
        return [*odd, done.text]
    odd += unequal(lab.run(name), expected)
    if not odd:
        lab.drop(name)
    return odd


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "hf engine"])
def test_a_stop_in_any_micro_batch_changes_no_bit(kind: str) -> None:
    lab = laboratory()
    expected = whole(lab, kind)
    with counted("F1 fine-tuning stopped in every micro-batch", kind=kind) as row:
        for number in chosen(list(range(1, STEPS * SHARDS + 1)), 2):
            name = lab.new()
            done = tune(lab, name, kind, faults={"signal_at_micro_batch": {"n": number}})
            odd = gone_on(lab, name, kind, expected)
            row.check(done.code == 75 and not odd, (number, done.text, odd))


def test_a_stop_after_any_step_of_the_other_engine_changes_no_bit() -> None:
    lab, kind = laboratory(), "hf engine"
    expected = whole(lab, kind)
    with counted("F2 engine hf stopped after every step", kind=kind) as row:
        # Step 4 is evaluated, so a stop after it leaves an evaluation that is made up for.
        for step in sorted({4, *chosen(list(range(1, STEPS)), 1)}):
            name = lab.new()
            done = tune(lab, name, kind, faults={"signal_after_step": {"steps": [step]}})
            odd = gone_on(lab, name, kind, expected)
            row.check(done.code == 75 and not odd, (step, done.text, odd))


@pytest.mark.parametrize("kind", ["lora", "hf engine"])
def test_a_kill_of_fine_tuning_at_any_moment_changes_no_bit(kind: str) -> None:
    lab, rng = laboratory(), random.Random(5)
    expected = whole(lab, kind)
    started = time.perf_counter()
    tune(lab, lab.new(), kind)
    duration = time.perf_counter() - started
    with counted("F3 SIGKILL of fine-tuning at random moments", kind=kind) as row:
        for _ in range(count(2, 50)):
            name = lab.new()
            pid = lab.start(name, **words(lab, kind))
            time.sleep(rng.uniform(0.05, duration))
            kill_group(pid)
            code = lab.wait(pid).code
            odd = gone_on(lab, name, kind, expected)
            row.check(code in (-9, 0) and not odd, odd)


@pytest.mark.skipif(not FULL, reason="part of nox -s torture: compiling a layer takes half a minute")
@pytest.mark.parametrize("targets", ["[all-linear]", "['regex:.*layers.0.*q_proj']"])
def test_compiled_fine_tuning_goes_on_with_the_same_bits(tmp_path: Path, targets: str) -> None:
    """Also where layers are not alike, and so are compiled apart."""
    compiled = ("runtime.compile=true", "train.steps=4", "checkpoint.every=2", "eval.every=2")
    tune_here = tuner(tmp_path)
    whole_run = tune_here("compiled", *compiled, f"model.lora.targets={targets}")
    shutil.rmtree(whole_run.directory.checkpoints / "step-00000004")
    with counted("F4 compiled fine-tuning resumed", targets=targets) as row:
        again = tune_here("compiled", *compiled, f"model.lora.targets={targets}")
        same = again.outcome.checkpoint.weights == whole_run.outcome.checkpoint.weights
        row.check(again.outcome.resumed_from == 2 and same, again.outcome)
