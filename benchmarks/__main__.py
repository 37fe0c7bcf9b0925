"""Run every benchmark, one after the other: ``python -m benchmarks [name]``."""

from __future__ import annotations

import importlib
import sys

NAMES = ("data_speed", "training_speed", "step_overhead", "data_memory", "checkpoint_cost", "resume_peers")

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        print(f"== {name}", flush=True)
        sys.argv = [name]
        importlib.import_module(f"benchmarks.{name}").main()
