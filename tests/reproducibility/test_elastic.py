"""Other numbers of workers: the same bits in elastic mode, the same order and a record in fast mode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codex_ml.core.publish import read_json
from reproducibility.harness import FULL, ROOT, chosen, count, counted, fingerprint, unequal
from reproducibility.lab import Lab, laboratory

pytestmark = pytest.mark.needs("train")

ELASTIC = ("runtime.determinism=elastic", "runtime.shards=8")
FAST_STEPS = count(16, 150)
FAST = (
    *("runtime.determinism=fast", "runtime.shards=8", f"train.steps={FAST_STEPS}"),
    *("eval.every=0", "checkpoint.keep_best=0"),
)


def test_a_run_that_moves_from_1_to_2_to_4_to_1_workers_keeps_its_bits() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("elastic", *ELASTIC))
    with counted("R6 elastic W 1 -> 2 -> 4 -> 1, K=8") as row:
        for first in chosen([2, 5, 3, 4], 1):
            name = lab.new()
            for workers, stop in ((1, first), (2, first + 4), (4, first + 8), (1, None)):
                faults = {0: {"signal_after_step": {"steps": [stop]}}} if stop else {}
                codes = [done.code for done in lab.workers(name, workers, *ELASTIC, faults=faults)]
                row.check(set(codes) == {75 if stop else 0}, (workers, codes))
            row.check(not unequal(lab.run(name), expected), unequal(lab.run(name), expected))
            segments = read_json(lab.run(name) / "run.json")["segments"]
            row.check([part["workers"] for part in segments] == [1, 2, 4, 1], segments)
            row.check(not any(part["downgrades"] for part in segments), segments)


def test_any_number_of_workers_gives_the_bits_of_one() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("elastic", *ELASTIC))
    with counted("R6 elastic, W workers from start to end") as row:
        for workers in chosen([2, 4, 8], 1):
            name = lab.new()
            codes = [done.code for done in lab.workers(name, workers, *ELASTIC)]
            odd = unequal(lab.run(name), expected)
            row.check(not any(codes) and not odd, (workers, codes, odd))


def losses_and_order(run: Path) -> tuple[list[float], list[str]]:
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    return [float.fromhex(line["loss"]) for line in lines], [line["samples"] for line in lines]


#: How far the loss may be from that of one worker. Muon orthogonalises in bfloat16, which turns a last
#: bit of a gradient into a bit of bfloat16 now and then.
@pytest.mark.parametrize(("optimizer", "bound"), [("adamw", 1e-6), ("muon", 5e-2)])
def test_fast_mode_keeps_the_order_and_the_loss_and_records_the_downgrade(
    optimizer: str, bound: float
) -> None:
    lab, words = laboratory(), (*FAST, f"train.optimizer.name={optimizer}")
    losses, order = losses_and_order(lab.whole(f"fast-{optimizer}", *words))
    with counted("R6 fast mode", steps=FAST_STEPS, optimizer=optimizer, bound=bound) as row:
        for before, after in chosen([(1, 2), (1, 4), (2, 4)], 1):
            name = lab.new()
            stop = {0: {"signal_after_step": {"steps": [FAST_STEPS // 2]}}}
            codes = [done.code for done in lab.workers(name, before, *words, faults=stop)]
            codes += [done.code for done in lab.workers(name, after, *words)]
            found, seen = losses_and_order(lab.run(name))
            worst = max(abs(a - b) / abs(b) for a, b in zip(found, losses, strict=True))
            record = read_json(lab.run(name) / "run.json")
            downgrades = [part["downgrades"] for part in record["segments"]]
            row.check(seen == order and set(codes) == {75, 0}, codes)
            row.check(worst <= bound, f"relative loss {worst:.2g}")
            row.check(downgrades == [[], [f"workers {before} -> {after}"]], downgrades)
            row.detail[f"relative_loss_{before}_{after}"] = worst


def torchrun(lab: Lab, name: str, workers: int, *words: str) -> int:
    """The real launcher and the real command line."""
    argv = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}", "-m", "codex_ml"]
    asked = ["train", *lab.words(), *words, f"name={name}", "--quiet"]
    environment = {**os.environ, "CODEX_HOME": str(lab.home), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    done = subprocess.run([sys.executable, *argv, *asked], env=environment, cwd=ROOT, capture_output=True)
    return done.returncode


@pytest.mark.skipif(not FULL, reason="part of nox -s torture: two starts of torchrun take half a minute")
def test_the_real_launcher_gives_the_same_bits() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("elastic", *ELASTIC))
    with counted("R6 elastic under torchrun itself") as row:
        for workers in (2, 4):
            name = lab.new()
            code = torchrun(lab, name, workers, *ELASTIC)
            odd = unequal(lab.run(name), expected) if code == 0 else [f"exit {code}"]
            row.check(not odd, (workers, odd))
