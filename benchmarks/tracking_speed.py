"""What 10,000 scalars to every local sink cost the training thread.

    python -m benchmarks.tracking_speed [FILE]

Rounds of three ways to log the same 10,000 values, interleaved: one value a call as fast as it goes, ten
values a call, and ten values a call between pieces of work that leave Python's lock free, as training
does. Measured is the time inside the calls alone, on the clock and of the thread's own CPU. With FILE each
round is appended to it as one line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCALARS, ROUNDS = 10_000, 5
SINKS = ("mlflow", "wandb", "tensorboard")
WAYS = {"one a call": (1, 0.0), "ten a call": (10, 0.0), "ten a call, working": (10, 0.002)}


def measure(way: str, folder: Path, sinks: Sequence[str]) -> dict[str, Any]:
    """One round of one way, in a run of its own."""
    from codex_ml.config.compose import compose
    from codex_ml.tracking.opening import context_of, open_trackers

    width, pause = WAYS[way]
    words = ["experiment=tiny", f"tracking.sinks=[{','.join(sinks)}]", "tracking.patience=120"]
    config = compose(words, environ={}).config
    directory = folder / "runs" / way.replace(" ", "-").replace(",", "")
    directory.mkdir(parents=True)
    facts = {"commit": "0" * 40, "seed": "0"}
    tracker = open_trackers(
        context_of(config, directory=directory, run_id=directory.name, resume_step=0, facts=facts)
    )
    time.sleep(6)  # MLflow makes its tables once for each store, at the side of preparing a first step
    clock = cpu = longest = 0.0
    for step in range(SCALARS // width):
        values = {f"metric{number}": step + number / 7 for number in range(width)}
        began, cpu_began = time.perf_counter(), time.thread_time()
        tracker.log(values, step=step, split="train", phase="train")
        took = time.perf_counter() - began
        clock, cpu, longest = clock + took, cpu + time.thread_time() - cpu_began, max(longest, took)
        if pause:
            time.sleep(pause)
    began = time.perf_counter()
    tracker.close()
    health = tracker.health()
    return {
        "way": way,
        "load": os.getloadavg()[0],
        "seconds": round(clock, 4),
        "cpu_seconds": round(cpu, 4),
        "longest_call": round(longest, 4),
        "close_seconds": round(time.perf_counter() - began, 3),
        "written": {name: row["written"] for name, row in health.items()},
        "dropped": sum(row["dropped"] for row in health.values()),
    }


def main(options: Sequence[str] = ()) -> None:
    """Run all rounds and print the medians."""
    import statistics

    logging.basicConfig(level=logging.WARNING)
    rounds: list[dict[str, Any]] = []
    for number in range(1, ROUNDS + 1):
        with tempfile.TemporaryDirectory() as folder:
            for way in WAYS:
                rounds.append({"round": number, **measure(way, Path(folder), SINKS)})
                print(json.dumps(rounds[-1]), flush=True)
    for way in WAYS:
        own = [row for row in rounds if row["way"] == way]
        clock = statistics.median(row["seconds"] for row in own)
        cpu = statistics.median(row["cpu_seconds"] for row in own)
        best = min(row["seconds"] for row in own)
        print(f"{way}: median {clock:.3f} s of the training thread, best {best:.3f}, CPU {cpu:.3f}")
    if options:
        with Path(options[0]).open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
