"""Everything that makes PyTorch give the same bits twice, applied once, before the first operation."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from codex_ml.provenance.environment import SET_BY_US

Grade = Literal["bitwise", "elastic", "statistical"]
#: Variables that give up equal bits when set to these values.
_LOWERING = {
    "TORCHINDUCTOR_DETERMINISTIC": ("0",),
    "TORCHINDUCTOR_MAX_AUTOTUNE": ("1",),
    "TORCHINDUCTOR_COORDINATE_DESCENT_TUNING": ("1",),
    "NVIDIA_TF32_OVERRIDE": ("1",),
}


@dataclass(frozen=True)
class DeterminismReport:
    """The grade that holds, and what lowered it.

    bitwise: same host, same workers. elastic: also on any number of workers that divides the shards.
    statistical: no equal bits are promised.
    """

    grade: Grade
    lowered_by: tuple[str, ...]

    def lowered(self, *reasons: str) -> DeterminismReport:
        """The grade after something else has lowered it."""
        if not reasons:
            return self
        return DeterminismReport("statistical", (*self.lowered_by, *reasons))


def apply_determinism(*, mode: str, threads: int, compile_cache: Path | None) -> DeterminismReport:
    """Set threads, precision and deterministic kernels for this process.

    Must run before the first compiled function is traced. An operation without a deterministic
    kernel then raises instead of running. ``fill_uninitialized_memory`` is off: it costs time and
    only serves tests.
    """
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    if compile_cache is not None:
        compile_cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(compile_cache)
    if mode == "fast":
        torch.use_deterministic_algorithms(False)
        return DeterminismReport("statistical", ("runtime.determinism=fast",))
    for name, value in SET_BY_US.items():
        os.environ.setdefault(name, value)
    torch.use_deterministic_algorithms(True, warn_only=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    promised = DeterminismReport("elastic" if mode == "elastic" else "bitwise", ())
    return promised.lowered(*_variables_that_lower())


def _variables_that_lower() -> list[str]:
    found = [f"{name}={os.environ[name]}" for name, bad in _LOWERING.items() if os.environ.get(name) in bad]
    cublas = os.environ["CUBLAS_WORKSPACE_CONFIG"]
    if cublas not in (":4096:8", ":16:8"):
        found.append(f"CUBLAS_WORKSPACE_CONFIG={cublas}")
    return found


def set_seed(seed: int) -> dict[str, int]:
    """Seed every global generator of this process, those of all its GPUs included; what was given to which.

    A net, not the mechanism: training draws come from counters, so that nothing has to be restored.
    Every rank takes the same seed: what must differ between ranks is drawn by shard.
    """
    seeds = seeds_of(seed)
    random.seed(seeds["python"])
    np.random.seed(seeds["numpy"])
    torch.manual_seed(seeds["torch"])
    return seeds


def seeds_of(seed: int) -> dict[str, int]:
    """What each global generator is given for the run's *seed*; numpy takes 32 bits."""
    return {"python": seed, "numpy": seed % (1 << 32), "torch": seed}
