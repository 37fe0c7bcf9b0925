"""Runs in the order of one of their figures."""

from __future__ import annotations

import math
from typing import Any

from codex_ml.core.paths import Home
from codex_ml.errors import UsageError, did_you_mean
from codex_ml.metrics.functions import HIGHER_IS_BETTER
from codex_ml.provenance.index import list_summaries


def rank(home: Home, *, metric: str, match: str | None = None) -> list[dict[str, Any]]:
    """The evaluated runs with *metric*, the best first; of equal ones by name.

    A value that is not finite comes last. Raises UsageError, with the nearest name, when none has the metric.
    """
    rows = [row for row in list_summaries(home) if match is None or match in row["run"]]
    named = {name for row in rows for name in row["metrics"]}
    if metric not in named:
        raise UsageError(
            f"no run here has the metric '{metric}'",
            code="runs.metric",
            got=f"{len(rows)} runs",
            next_step=did_you_mean(metric, named) if named else "evaluate a run with `codex-ml pipeline run`",
        )
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    found = [
        {"run": row["run"], "value": float(row["metrics"][metric]), "weights_sha256": row["weights_sha256"]}
        for row in rows
        if metric in row["metrics"]
    ]
    return sorted(found, key=lambda row: (not math.isfinite(row["value"]), sign * row["value"], row["run"]))
