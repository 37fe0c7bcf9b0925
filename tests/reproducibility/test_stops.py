"""Stop a run anywhere, go on with the same command: it ends as if it had never stopped."""

from __future__ import annotations

import random

import pytest

from reproducibility.harness import chosen, count, counted, fingerprint, unequal
from reproducibility.lab import Lab, laboratory

pytestmark = pytest.mark.needs("train")

STEPS = count(16, 128)
LONG = (f"train.steps={STEPS}",)
MICRO = ("train.steps=20", "runtime.shards=8")


def stopped_and_resumed(lab: Lab, expected: dict, *words: str, faults: dict) -> list[str]:
    """Everything in which a run that a fault stopped once differs from one left alone."""
    name = lab.new()
    first = lab.train(name, *words, faults=faults)
    if first.code != 75:
        return [f"{faults}: exit {first.code}: {first.text}"]
    second = lab.train(name, *words)
    odd = unequal(lab.run(name), expected) if second.code == 0 else [f"{faults}: resume {second.text}"]
    if not odd:
        lab.drop(name)
    return [f"{faults}: {text}" for text in odd]


def test_fresh_processes_give_one_result() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("long", *LONG))
    with counted("R1 twins", steps=STEPS) as row:
        for _ in range(count(1, 10)):
            name = lab.new()
            done = lab.train(name, *LONG)
            row.check(done.code == 0 and not unequal(lab.run(name), expected), done.text)


def test_a_stop_after_any_step_changes_nothing() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("long", *LONG))
    with counted("R2 stop after every step", steps=STEPS) as row:
        for step in sorted({*chosen(list(range(1, STEPS)), 2), STEPS}):
            faults = {"signal_after_step": {"steps": [step]}}
            odd = stopped_and_resumed(lab, expected, *LONG, faults=faults)  # the last one owes its evaluation
            row.check(not odd, odd)


def test_a_stop_inside_a_step_does_the_step_again() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("micro", *MICRO))
    with counted("R3 stop after every micro-batch of 20 windows") as row:
        for number in chosen(list(range(1, 161)), 2):
            faults = {"signal_at_micro_batch": {"n": number}}
            odd = stopped_and_resumed(lab, expected, *MICRO, faults=faults)
            row.check(not odd, odd)


def test_a_chain_of_random_stops_changes_nothing() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("long", *LONG))
    rng, name, stops = random.Random(11), lab.new(), count(3, 25)
    with counted("R4 chain of random stops", steps=STEPS) as row:
        for number in sorted(rng.sample(range(1, STEPS), stops)):
            kind = rng.choice(("SIGTERM", "SIGINT"))
            faults = {"signal_after_step": {"steps": [number], "name": kind}}
            done = lab.train(name, *LONG, faults=faults)
            row.check(done.code == 75, done.text)
        done = lab.train(name, *LONG)
        row.check(done.code == 0 and not unequal(lab.run(name), expected), done.text)


def test_a_stop_after_any_step_changes_nothing_with_adamw() -> None:
    lab = laboratory()
    words = ("train.optimizer.name=adamw", "train.steps=24")
    expected = fingerprint(lab.whole("adamw", *words))
    with counted("R2 stop after every step, adamw") as row:
        for step in chosen(list(range(1, 24)), 1):
            faults = {"signal_after_step": {"steps": [step]}}
            odd = stopped_and_resumed(lab, expected, *words, faults=faults)
            row.check(not odd, odd)
