"""Run every benchmark, one after the other: ``python -m benchmarks [name [options]]``."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    *("data_speed", "training_speed", "step_overhead", "data_memory", "checkpoint_cost"),
    *("resume_peers", "sft_peers", "many_runs", "report_cost"),
    *("tracking_speed", "monitoring_overhead", "digest_speed", "audit_speed"),
)

if __name__ == "__main__":
    chosen, options = sys.argv[1:2], sys.argv[2:]
    for name in chosen or NAMES:
        print(f"== {name}", flush=True)
        main = importlib.import_module(f"benchmarks.{name}").main
        main(options) if options else main()
