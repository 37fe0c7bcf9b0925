"""Figures that follow from what a run left on disk."""

from __future__ import annotations

import statistics
from pathlib import Path

from codex_ml.core.ndjson import read


def training_speed(metrics: Path) -> float:
    """Median training speed of the logged windows, in tokens per second; 0 without records.

    The median leaves out the windows that hold a compilation or a pause of the machine.
    """
    speeds = [
        float(row["value"])
        for row in read(metrics)
        if row["metric"] == "tokens_per_second" and row["phase"] == "train"
    ]
    return statistics.median(speeds) if speeds else 0.0
