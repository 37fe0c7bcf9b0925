"""How fast a CI log becomes a digest: MB/s of the whole, from the file to the plan.

    python -m benchmarks.digest_speed [FILE]

The log is made by a seeded generator: timestamps and colours, installer, compiler, pytest and training
output, warnings and retries that made nothing fail, and one failing session near the end. With FILE each
round is appended to it as one line of JSON.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

MEGABYTES, ROUNDS, SEED = 100, 5, 6
_KINDS = (
    "Collecting package-{n}>=1.{k} (from -r requirements.txt (line {k}))",
    "  Downloading package_{n}-1.{k}-py3-none-any.whl ({k}.{n} kB)",
    "[ {k}%] Building CXX object src/CMakeFiles/core.dir/kernel_{n}.cc.o",
    "tests/unit/test_module_{k}.py::test_case[{n}] PASSED                      [ {k}%]",
    "INFO step={n} loss=2.{n} lr=3e-4 tokens/s=51{k}3 grad_norm=0.{n}",
    "\x1b[32mINFO\x1b[0m checkpoint runs/demo/checkpoints/step-{n} written in 0.{k} s",
    '{{"ts": {n}, "step": {k}, "metric": "loss", "value": 1.{n}}}',
)
#: One line in a hundred holds a hint and says nothing of a failure.
_NOISE = (
    "WARNING: Retrying (Retry(total={k})) after connection broken by 'ReadTimeoutError'",
    "src/kernel_{n}.cc:{k}:3: warning: unused variable 'error' [-Wunused-variable]",
    "INFO 0 errors, {k} warnings in chunk {n}",
    "tests/unit/test_errors.py::test_error_code[{n}] PASSED                    [ {k}%]",
)
_END = """
nox > Running session tests
nox > pytest -q
============================= test session starts ==============================
=================================== FAILURES ===================================
__________________________________ test_loss ___________________________________
    def test_loss():
>       assert loss() < 1
E       assert 2.5 < 1

tests/test_loss.py:4: AssertionError
=========================== short test summary info ============================
FAILED tests/test_loss.py::test_loss - assert 2.5 < 1
1 failed, 900 passed in 61.00s
nox > Command pytest -q failed with exit code 1
nox > Session tests failed.
make: *** [Makefile:8: test] Error 1
"""


def write_log(path: Path, *, megabytes: int) -> None:
    """A log of *megabytes* million bytes, the same for each call."""
    draws = random.Random(SEED)
    size = 0
    with path.open("w", encoding="utf-8") as stream:
        number = 0
        while size < megabytes * 1_000_000:
            lines = []
            for _ in range(1000):
                number += 1
                form = draws.choice(_NOISE if draws.random() < 0.01 else _KINDS)
                text = form.format(n=draws.randrange(10_000), k=draws.randrange(100))
                when = f"2026-05-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.1234567Z"
                lines.append(f"{when} {text}\n")
            size += stream.write("".join(lines))
        stream.write(_END)


def main(options: Sequence[str] = ()) -> None:
    """Print the median of MB/s, and the peak memory of the process."""
    from codex_ml.digest.document import opened, read_document

    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ci.log"
        write_log(path, megabytes=MEGABYTES)
        megabytes = path.stat().st_size / 1e6
        for number in range(1, ROUNDS + 1):
            began = time.perf_counter()
            with opened(path) as stream:
                document = read_document(stream, name="ci.log", kind=None, date=None)
            seconds = time.perf_counter() - began
            assert document.digest is not None and document.digest.failure is not None
            assert document.digest.failure.root.text == "assert 2.5 < 1"
            rounds.append(
                {
                    "round": number,
                    "megabytes": megabytes,
                    "seconds": seconds,
                    "mb_per_s": megabytes / seconds,
                    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
                }
            )
            print(json.dumps(rounds[-1]), flush=True)
    print(f"digest: {statistics.median(row['mb_per_s'] for row in rounds):.0f} MB/s of log")
    if options:
        with Path(options[0]).open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
