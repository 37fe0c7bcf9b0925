"""The command line on all cores, and the facts that ``nox -s realmodel`` writes down."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import Result, run_program

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "artifacts" / "realmodel.jsonl"
CONTEXT = 512
# The caps of tests/conftest.py are for two test workers; here one program has the machine.
_ALL_CORES = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"))


@dataclass(frozen=True)
class Laboratory:
    """A CODEX_HOME that all tests of the session share."""

    home: Path

    def cli(self, *words: str | Path, timeout: float = 540) -> tuple[Result, float]:
        """The program as a sub-process with ``--json``, which must succeed; the seconds it took."""
        removed = dict.fromkeys(name for name in os.environ if name.startswith("CODEX_"))
        env = {**_ALL_CORES, **removed, "CODEX_HOME": str(self.home)}
        started = time.perf_counter()
        argv = (sys.executable, "-m", "codex_ml", *words, "--json")
        done = run_program(*argv, env=env, cwd=self.home, timeout=timeout)
        assert done.code == 0, done.err[-4000:]
        return done, time.perf_counter() - started

    def program(self, source: str, *words: str | Path, timeout: float = 300) -> dict[str, Any]:
        """What a Python program of its own prints on its last line."""
        env = {**_ALL_CORES, "CODEX_HOME": str(self.home)}
        done = run_program(sys.executable, "-c", source, *words, env=env, cwd=self.home, timeout=timeout)
        assert done.code == 0, done.err[-4000:]
        found: dict[str, Any] = done.json
        return found


def record(fact: str, **numbers: Any) -> None:
    """Add one line to artifacts/realmodel.jsonl; numbers and names, no paths."""
    FACTS.parent.mkdir(exist_ok=True)
    rounded = {
        name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in numbers.items()
    }
    with FACTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"fact": fact, **rounded}) + "\n")


def load_plain(directory: Path, **options: Any) -> Any:
    """The model as transformers alone loads it, float32, from local files."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        str(directory), dtype=torch.float32, local_files_only=True, **options
    ).eval()


def load_base(directory: Path) -> Any:
    """The base as the project loads it, without an adapter, float32."""
    import torch

    from codex_ml.config.compose import compose
    from codex_ml.modeling.pretrained_load import load_pretrained

    words = ["experiment=sft_lora", f"model.path={directory}", "data.path=unused.jsonl"]
    config = compose([*words, f"model.context={CONTEXT}", "model.lora.r=0"], environ={}).config
    loaded = load_pretrained(
        directory, cfg=config.model, device="cpu", compute_dtype=torch.float32, seed=config.seed
    )
    return loaded.model.eval()
