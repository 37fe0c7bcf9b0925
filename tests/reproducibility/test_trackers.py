"""Whatever a tracker does, a run ends in time with the weights of a run without it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from codex_ml.tracking.opening import read_health
from reproducibility.harness import FULL, counted, fingerprint, unequal
from reproducibility.lab import Lab, laboratory

pytestmark = pytest.mark.needs("train", "tracking")

#: kind of trouble -> (state of the tracker afterwards, patience). MLflow makes its tables at first, which may
#: take seconds; a tracker that sleeps for half a minute is not worth waiting for.
KINDS = {
    "slow": ("left behind", 1.0),
    "raising": ("failed", 30.0),
    "full": ("failed", 30.0),
    "killed": ("failed", 30.0),
}
QUICK = [("tensorboard", "slow"), ("wandb", "raising")]  # MLflow alone takes seconds to import
TRIALS = [(name, kind) for name in ("mlflow", "tensorboard", "wandb") for kind in KINDS]


def disturbed(lab: Lab, run: str, name: str, kind: str) -> list[str]:
    """What went wrong with a run beside which a tracker was in trouble."""
    expected = fingerprint(lab.whole("whole"))
    state, patience = KINDS.get(kind, ("failed", 30.0))
    words = [f"tracking.sinks=[{name}]", f"tracking.patience={patience}"]
    faults: dict[str, Any] = {"disturbed_tracker": {"name": name, "kind": kind}}
    if kind == "no room":  # for a database; checkpoints are smaller
        words.append(f"tracking.mlflow.uri=sqlite:///{lab.home}/{run}.db")
        faults = {"file_size_limit": {"size": 400_000}}
    started = time.monotonic()
    done = lab.train(run, *words, faults=faults)
    took = time.monotonic() - started
    odd = unequal(lab.run(run), expected) if done.code == 0 else [done.text]
    health = read_health(lab.run(run)).get(name, {})
    if health.get("state") != state or not health.get("error"):
        odd.append(f"health {health}")
    return odd if took < 25 else [*odd, f"it took {took:.0f} s"]


def test_a_tracker_that_is_slow_raises_dies_or_fills_the_disk_changes_no_bit() -> None:
    lab = laboratory()
    with counted("T1 a tracker in trouble", seconds_slow=30) as row:
        for name, kind in [*TRIALS, ("mlflow", "no room")] if FULL else QUICK:
            run = lab.new()
            odd = disturbed(lab, run, name, kind)
            row.check(not odd, (name, kind, odd))
            lab.drop(run)


def test_a_stop_and_a_resume_with_a_tracker_end_as_without_any() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("whole"))
    name, sinks = lab.new(), "tracking.sinks=[tensorboard]"
    stopped = lab.train(name, sinks, faults={"signal_after_step": {"steps": [7]}})
    assert stopped.code == 75, stopped.text
    assert lab.train(name, sinks).code == 0
    assert unequal(lab.run(name), expected) == []
    assert read_health(lab.run(name))["tensorboard"]["state"] == "ok"
