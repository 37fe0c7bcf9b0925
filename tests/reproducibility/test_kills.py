"""SIGKILL the process group at any moment: the same command goes on and ends with the same bits."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from reproducibility.harness import (
    chosen,
    count,
    counted,
    fingerprint,
    good_step,
    journal_steps,
    unequal,
    unsound,
)
from reproducibility.lab import Lab, kill_group, laboratory

pytestmark = pytest.mark.needs("train")

EVERY = 4  # steps between checkpoints
BEYOND = 10**9


def after_a_kill(lab: Lab, name: str, expected: dict, *words: str) -> list[str]:
    """What a kill broke: published names that are no checkpoints, a resume that fails, other bits."""
    odd = unsound(lab.run(name))
    done = lab.train(name, *words)
    if done.code != 0:
        return [*odd, done.text]
    odd += unequal(lab.run(name), expected) + unsound(lab.run(name))
    if not odd:
        lab.drop(name)
    return odd


def test_a_kill_at_any_moment_loses_nothing_that_was_saved() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("whole"))
    started = time.perf_counter()
    lab.train(lab.new())
    duration = time.perf_counter() - started
    rng, lost = random.Random(3), []
    with counted("K1 SIGKILL of the process group at random moments") as row:
        for _ in range(count(3, 300)):
            name = lab.new()
            pid = lab.start(name)
            time.sleep(rng.uniform(0.05, duration))
            kill_group(pid)
            code = lab.wait(pid).code
            lost.append(journal_steps(lab.run(name)) - good_step(lab.run(name)))
            # One save may be on its way while the next steps are trained.
            odd = [] if lost[-1] <= 2 * EVERY else [f"{lost[-1]} steps lost"]
            odd += after_a_kill(lab, name, expected)
            row.check(code in (-9, 0) and not odd, odd)
        row.detail.update(seconds_of_a_run=round(duration, 2), most_steps_lost=max(lost))


def interrupted_before_a_save(lab: Lab, name: str, *words: str) -> str:
    """A run stopped one step before the save of step 12, which also prunes and moves both pointers."""
    if not lab.run(name).exists():
        done = lab.train(name, *words, faults={"signal_after_step": {"steps": [11]}})
        assert done.code == 75, done.text
    return name


def calls_of_the_save(lab: Lab, template: str, report: Path, *words: str, faults: dict | None = None) -> int:
    """How many I/O calls one save makes."""
    name = lab.copy(template)
    counting = {"at_io_call": {"n": BEYOND, "step": 12, "report": str(report)}}
    done = lab.train(name, *words, faults={**(faults or {}), **counting})
    assert done.code == 0, done.text
    lab.drop(name)
    return int(report.read_text())


WAYS = {
    "beside": ("checkpoint.background=true",),
    "at-once": ("checkpoint.background=false",),
    "shards": ("train=adamw", "train.schedule.warmup_steps=4", "runtime.sharding=fsdp2"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_kill_at_any_call_of_a_save_leaves_a_good_checkpoint(way: str, tmp_path: Path) -> None:
    lab, words = laboratory(), WAYS[way]
    expected = fingerprint(lab.whole(f"whole-{way}", *words))
    template = interrupted_before_a_save(lab, f"before-save-{way}", *words)
    calls = calls_of_the_save(lab, template, tmp_path / "calls", *words)
    with counted("K2 SIGKILL at every I/O call of a save", way=way, calls=calls) as row:
        for number in chosen(list(range(1, calls + 1)), 3):
            name = lab.copy(template)
            done = lab.train(name, *words, faults={"at_io_call": {"n": number, "step": 12}})
            found = good_step(lab.run(name))
            odd = after_a_kill(lab, name, expected, *words)
            row.check(done.code == -9 and found in (11, 12) and not odd, (number, done.text, found, odd))


def test_the_check_sees_a_publish_that_is_not_atomic(tmp_path: Path) -> None:
    lab = laboratory()
    template = interrupted_before_a_save(lab, "before-save-beside")
    taken_out: dict = {"copied_instead_of_renamed": {}}
    calls = calls_of_the_save(lab, template, tmp_path / "calls", faults=taken_out)
    seen = []
    for number in range(calls // 3, calls, 3):
        name = lab.copy(template)
        lab.train(name, faults={**taken_out, "at_io_call": {"n": number, "step": 12}})
        seen += unsound(lab.run(name))
        if seen:
            break
    assert seen, "half a copy under a checkpoint's name went unnoticed"
