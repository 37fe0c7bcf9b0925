"""A compiled bfloat16 run resumes to the same bits in a new process, with its compiled code and without.

Compiling takes a minute of processor time for each start, so this is part of ``nox -s torture`` only; a
resume inside one process is in ``test_same_bits.py``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from conftest import run_program
from reproducibility.harness import FULL, counted

pytestmark = pytest.mark.needs("train")
WORDS = (
    *("experiment=tiny", "name=compiled", "runtime.compile=true", "runtime.dtype=bfloat16"),
    *("train.steps=12", "train.schedule.warmup_steps=2", "checkpoint.every=4", "checkpoint.keep_last=9"),
    *("eval.every=4", "eval.batch_size=5", "model.dropout=0.1"),
)


def train(home: Path) -> str:
    done = run_program(
        sys.executable, *("-m", "codex_ml", "train"), *WORDS, "--json", env={"CODEX_HOME": str(home)}
    )
    assert done.code == 0, done.err
    return str(done.json["weights_sha256"])


def resumed_from_the_first_checkpoint(home: Path) -> tuple[str, bytes]:
    run = home / "runs" / "compiled"
    for step in (8, 12):
        shutil.rmtree(run / "checkpoints" / f"step-{step:08d}")
    return train(home), (run / "journal.jsonl").read_bytes()


if FULL:

    def test_a_compiled_run_resumes_with_a_cold_and_with_a_warm_cache(tmp_path: Path) -> None:
        expected = train(tmp_path), (tmp_path / "runs" / "compiled" / "journal.jsonl").read_bytes()
        with counted("compiled bf16, new process, cold and warm cache") as row:
            shutil.rmtree(tmp_path / ".codex" / "cache")
            row.check(resumed_from_the_first_checkpoint(tmp_path) == expected, "cold")
            row.check(resumed_from_the_first_checkpoint(tmp_path) == expected, "warm")
