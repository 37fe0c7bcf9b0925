"""SIGTERM, SIGINT and SIGUSR1 at any place of a run: exit 75 with the state saved, or a save and on."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from reproducibility.harness import (
    count,
    counted,
    fingerprint,
    good_step,
    journal_steps,
    unequal,
    unsound,
    until,
)
from reproducibility.lab import Done, Lab, laboratory

pytestmark = pytest.mark.needs("train")

ELASTIC = ("runtime.determinism=elastic", "runtime.shards=8")
PLACES = (
    lambda rng: {"signal_at_micro_batch": {"n": rng.randrange(1, 64)}},
    lambda rng: {"signal_in_evaluation": {"n": rng.choice((1, 2))}},
    lambda rng: {"signal_in_save": {"step": rng.choice((4, 8, 12))}},
)


def ended_as_asked(lab: Lab, name: str, first: Done, expected: dict, *words: str) -> list[str]:
    """What is wrong with a run that a signal ended; a signal after the last step comes too late."""
    odd = [] if first.code in (75, 0) else [f"exit {first.code}: {first.text}"]
    odd += unsound(lab.run(name))
    if first.code == 75 and "is saved" in first.text:
        lost = journal_steps(lab.run(name)) - good_step(lab.run(name))
        odd += [f"{lost} finished steps were not saved"] if lost else []
    second = lab.train(name, *words)
    if second.code != 0:
        return [*odd, second.text]
    odd += unequal(lab.run(name), expected)
    if not odd:
        lab.drop(name)
    return odd


def test_sigterm_at_any_place_saves_and_exits_75() -> None:
    lab, rng = laboratory(), random.Random(5)
    expected = fingerprint(lab.whole("whole"))
    with counted("K4 SIGTERM in training, evaluation and save") as row:
        for number in range(count(3, 30)):
            name, faults = lab.new(), PLACES[number % 3](rng)
            done = lab.train(name, faults=faults)
            odd = ended_as_asked(lab, name, done, expected)
            row.check(not odd, (faults, odd))


def test_sigterm_from_outside_at_any_moment_ends_within_a_micro_batch_and_a_save() -> None:
    lab, rng, waits = laboratory(), random.Random(6), []
    expected = fingerprint(lab.whole("whole"))
    with counted("K4 SIGTERM at random moments") as row:
        for _ in range(count(2, 20)):
            name = lab.new()
            pid = lab.start(name)
            time.sleep(rng.uniform(0.03, 0.4))
            sent = time.perf_counter()
            os.kill(pid, signal.SIGTERM)
            done = lab.wait(pid)
            waits.append(time.perf_counter() - sent)
            odd = ended_as_asked(lab, name, done, expected)
            row.check(waits[-1] < 2 and not odd, (round(waits[-1], 2), odd))
        row.detail["longest_wait_seconds"] = round(max(waits), 3)


def test_sigterm_in_the_data_build_leaves_nothing_half_built() -> None:
    lab, rng = laboratory(), random.Random(7)
    with counted("K4 SIGTERM while data and tokenizer are built") as row:
        for number in range(count(1, 8)):
            words = (f"tokenizer.vocab_size={301 + number}",)
            name = lab.new()
            pid = lab.start(name, *words)
            time.sleep(rng.uniform(0.02, 0.3))
            os.kill(pid, signal.SIGTERM)
            first = lab.wait(pid)
            expected = fingerprint(lab.whole(lab.new(), *words))
            odd = ended_as_asked(lab, name, first, expected, *words)
            row.check(not odd, odd)


def test_a_signal_to_one_of_two_workers_stops_both_at_one_step() -> None:
    lab, rng = laboratory(), random.Random(8)
    expected = fingerprint(lab.whole("elastic", *ELASTIC))
    with counted("K4 SIGTERM to one of two workers") as row:
        for number in range(count(1, 16)):
            name, victim = lab.new(), number % 2
            faults = {victim: {"signal_at_micro_batch": {"n": rng.randrange(1, 62)}}}
            ends = lab.workers(name, 2, *ELASTIC, faults=faults)
            steps = {end.text.partition("after step ")[2].partition(";")[0] for end in ends}
            agreed = [end.code for end in ends] == [75, 75] and len(steps) == 1
            again = lab.workers(name, 2, *ELASTIC)
            odd = unequal(lab.run(name), expected) if not any(end.code for end in again) else [again]
            row.check(agreed and not odd, (faults, [end.text for end in ends], odd))


def test_sigusr1_saves_the_state_and_training_goes_on() -> None:
    lab, rng = laboratory(), random.Random(9)
    expected = fingerprint(lab.whole("whole"))
    foreground = "checkpoint.background=false"
    with counted("K4 SIGUSR1 saves and continues") as row:
        for _ in range(count(1, 20)):
            name, step = lab.new(), rng.choice((1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14))
            save = {"signal_after_step": {"steps": [step], "name": "SIGUSR1"}}
            kill = {"signal_after_step#then": {"steps": [step + 1], "name": "SIGKILL"}}
            killed = lab.train(name, foreground, faults={**save, **kill})
            saved = good_step(lab.run(name))
            through = lab.train(name, foreground, faults=save)
            odd = unequal(lab.run(name), expected) if through.code == 0 else [through.text]
            row.check(killed.code == -9 and saved == step and not odd, (step, saved, odd))


def test_a_second_sigint_leaves_at_once() -> None:
    lab, waits = laboratory(), []
    with counted("K4 double SIGINT") as row:
        for _ in range(count(1, 5)):
            name = lab.new()
            pid = lab.start(name, faults={"slow_steps#after": {"seconds": 30}})
            assert until((lab.run(name) / "metrics.ndjson").exists)
            time.sleep(0.2)
            sent = time.perf_counter()
            os.kill(pid, signal.SIGINT)
            time.sleep(0.05)
            os.kill(pid, signal.SIGINT)
            code = lab.wait(pid).code
            waits.append(time.perf_counter() - sent)
            row.check(code == 75 and waits[-1] < 2, (code, waits[-1]))
        row.detail["longest_wait_seconds"] = round(max(waits), 3)
