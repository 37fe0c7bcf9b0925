"""Saves beside training, two processes on one run, and operations that would read stale memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_ml.training.journal import read_journal
from reproducibility.harness import chosen, count, counted, fingerprint, journal_steps, unequal, until
from reproducibility.lab import laboratory

pytestmark = pytest.mark.needs("train")


def test_saves_beside_training_change_no_bit_also_on_a_slow_disk(tmp_path: Path) -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("whole"))
    slow = {"slow_disk": {"seconds": 0.01}}
    with counted("A1 async on and off, slow disk") as row:
        for background, faults in chosen([("false", slow), ("false", {}), ("true", slow), ("true", {})], 1):
            name, report = lab.new(), tmp_path / "most"
            watched = {**faults, "saves_in_flight": {"report": str(report)}}
            done = lab.train(name, f"checkpoint.background={background}", faults=watched)
            odd = unequal(lab.run(name), expected) if done.code == 0 else [done.text]
            row.check(report.read_text() == "1" and not odd, (background, odd))


def test_a_second_process_on_a_run_is_refused_and_the_first_is_unharmed() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("whole"))
    with counted("A4 two processes on one run") as row:
        for _ in range(count(1, 10)):
            name = lab.new()
            first = lab.start(name, faults={"slow_steps": {"seconds": 0.01}})
            assert until(lambda: journal_steps(lab.run(name)) >= 1)  # noqa: B023 - called now
            second = lab.train(name)
            done = lab.wait(first)
            odd = unequal(lab.run(name), expected) if done.code == 0 else [done.text]
            row.check(second.code == 2 and second.error == "run.locked" and not odd, (second.text, odd))


STRICT = (
    ("train.optimizer.name=muon",),
    ("train.optimizer.name=adamw",),
    ("train.activation_checkpointing=true",),
    ("runtime.determinism=elastic", "runtime.shards=8"),
    ("runtime.dtype=bfloat16",),
)


def test_no_operation_is_nondeterministic_or_reads_memory_that_nobody_wrote() -> None:
    lab = laboratory()
    with counted("D1 strict determinism, uninitialised memory is NaN") as row:
        for words in chosen(list(STRICT), 2):
            expected = fingerprint(lab.whole(f"d1-{'-'.join(words)}".replace("=", "-"), *words))
            name = lab.new()
            done = lab.train(name, *words, faults={"filled_memory": {}})
            odd = unequal(lab.run(name), expected) if done.code == 0 else [done.text]
            finite = all(float.fromhex(r["loss"]) < 99 for r in read_journal(lab.run(name) / "journal.jsonl"))
            row.check(finite and not odd, (words, odd))
