"""What journal, metrics and progress cost beside forward, backward and update, as a share of a step."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Train the demo's model for some steps and compare wall time with the sum of the steps' own time."""
    from codex_ml.config.compose import compose
    from codex_ml.core.paths import Home
    from codex_ml.interfaces.reporter import Silent
    from codex_ml.pipeline.context import Request
    from codex_ml.pipeline.prepare_stage import prepare
    from codex_ml.pipeline.runner import run_codex_pipeline
    from codex_ml.pipeline.train_stage import train
    from codex_ml.training.engines import native

    shares: list[float] = []
    original = native._Between.after

    def timed(self: native._Between, info: object) -> None:
        started = time.perf_counter()
        original(self, info)  # type: ignore[arg-type]
        shares.append((time.perf_counter() - started) / info.seconds)  # type: ignore[attr-defined]

    native._Between.after = timed  # type: ignore[method-assign]
    words = [
        "experiment=demo",
        "train.steps=60",
        "eval.every=0",
        "checkpoint.keep_best=0",
        "checkpoint.every=1000",
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = compose([*words, *sys.argv[1:]], environ={}).config
        request = Request(config=config, home=Home(Path(folder)))
        run_codex_pipeline(request, reporter=Silent(), stages=(prepare, train))
    steady = shares[5:-1]
    print(
        f"journal + metrics + progress, share of a step: median {statistics.median(steady):.3%}, "
        f"mean {statistics.fmean(steady):.3%} over {len(steady)} steps"
    )


if __name__ == "__main__":
    main()
