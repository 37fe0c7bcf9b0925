"""What watching the machine costs: the CPU time of one sample over the interval between two.

    python -m benchmarks.monitoring_overhead [FILE]

Rounds with and without the sampler are interleaved; each burns no CPU of its own, so that all there is to
measure is the sampler. The process has the children and threads that training may have. With FILE each
round is appended to it as one line of JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codex_ml.monitoring.readings import Readings
from codex_ml.monitoring.sampler import sampling

ROUNDS, SECONDS, EVERY = 7, 4.0, 0.2
#: Seconds between two samples, as the configuration has it.
DEFAULT = 5.0


def burnt(every: float) -> float:
    """CPU seconds that this process uses while it waits, with a sample each *every* seconds (0: none)."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        with sampling(Path(folder), run_id="r", every=every, step=lambda: 1, send=lambda *_: None):
            time.sleep(SECONDS)
        return time.process_time() - began


def main(options: Sequence[str] = ()) -> None:
    """Print the CPU time of a sample, and its share of one core at the default interval."""
    stop = threading.Event()
    for _ in range(16):
        threading.Thread(target=stop.wait, daemon=True).start()
    children = [subprocess.Popen(["sleep", "600"]) for _ in range(4)]
    readings = Readings(Path.cwd())
    started = time.perf_counter()
    for _ in range(20):
        readings.read()
    wall = (time.perf_counter() - started) / 20
    rounds: list[dict[str, Any]] = []
    for number in range(1, ROUNDS + 1):
        without, beside = burnt(0.0), burnt(EVERY)
        sample = (beside - without) / (SECONDS / EVERY)
        rounds.append({"round": number, "without": without, "with": beside, "cpu_of_a_sample": sample})
        print(json.dumps(rounds[-1]), flush=True)
    stop.set()
    for child in children:
        child.kill()
        child.wait()
    cost = statistics.median(row["cpu_of_a_sample"] for row in rounds)
    print(
        f"a sample: {cost * 1e3:.2f} ms of CPU ({wall * 1e3:.2f} ms on the clock), "
        f"{cost / DEFAULT:.4%} of one core with one every {DEFAULT:g} s"
    )
    if options:
        with Path(options[0]).open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
