"""Everything that makes PyTorch give the same bits twice, applied once, before the first operation."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

Grade = Literal["bitwise", "statistical"]


@dataclass(frozen=True)
class DeterminismReport:
    """The grade that holds, and what lowered it."""

    grade: Grade
    lowered_by: tuple[str, ...]


def apply_determinism(*, exact: bool, threads: int, compile_cache: Path | None) -> DeterminismReport:
    """Set threads, precision and deterministic kernels for this process.

    Must run before the first compiled function is traced. ``fill_uninitialized_memory`` is off: it
    costs time and only serves tests.
    """
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    if compile_cache is not None:
        compile_cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(compile_cache)
    if not exact:
        return DeterminismReport("statistical", ("runtime.determinism=fast",))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("TORCHINDUCTOR_DETERMINISTIC", "1")
    torch.use_deterministic_algorithms(True, warn_only=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    return DeterminismReport("bitwise", ())


def set_seed(seed: int) -> None:
    """Seed every global generator.

    A net, not the mechanism: training draws come from counters, so that nothing has to be restored.
    """
    random.seed(seed)
    np.random.seed(seed % (1 << 32))
    torch.manual_seed(seed)
