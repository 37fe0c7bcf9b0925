"""Settings are process-wide, so each claim is made in a process of its own."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("train")

PROGRAM = """
import json, os, random, sys
from pathlib import Path
import numpy as np, torch
from codex_ml.provenance.determinism import apply_determinism, set_seed
report = apply_determinism(mode=sys.argv[1], threads=2, compile_cache=Path(sys.argv[2]))
draws = []
for seed in (5, 5, 2**63 - 1):
    given = set_seed(seed)
    draws.append([random.random(), float(np.random.rand()), float(torch.rand(()))])
print(json.dumps({
    "grade": report.grade,
    "lowered_by": report.lowered_by,
    "deterministic": torch.are_deterministic_algorithms_enabled(),
    "fill": torch.utils.deterministic.fill_uninitialized_memory,
    "threads": torch.get_num_threads(),
    "cache": os.environ["TORCHINDUCTOR_CACHE_DIR"],
    "tf32": torch.backends.cuda.matmul.allow_tf32,
    "draws": draws,
    "given": given,
}))
"""


def probe(run: Any, mode: str, cache: Path) -> dict[str, Any]:
    done = run(sys.executable, "-c", PROGRAM, mode, cache)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_exact_is_bitwise_and_fast_says_what_lowered_it(run, tmp_path: Path) -> None:
    exact, fast = (probe(run, mode, tmp_path / "cache") for mode in ("exact", "fast"))
    assert (exact["grade"], exact["lowered_by"], exact["deterministic"]) == ("bitwise", [], True)
    assert (fast["grade"], fast["deterministic"]) == ("statistical", False)
    assert fast["lowered_by"] == ["runtime.determinism=fast"]
    for found in (exact, fast):
        assert found["threads"] == 2
        assert found["tf32"] is False
        assert found["cache"] == str(tmp_path / "cache")
        one, again, other = found["draws"]
        assert one == again != other
    assert exact["given"] == {"python": 2**63 - 1, "numpy": 2**32 - 1, "torch": 2**63 - 1}
    assert exact["fill"] is False
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
