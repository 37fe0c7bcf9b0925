"""Several runs beside each other: their figures, and what was asked of them in other words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from codex_ml.config.keys import flatten
from codex_ml.metrics.functions import HIGHER_IS_BETTER
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.report.facts import RunFacts, read_facts

#: Config keys that say how a run is kept and shown, not what it is.
_OUTSIDE = ("name", "tracking.")


@dataclass(frozen=True)
class MetricRow:
    """One metric of every run; None where a run has none. *best* are the places of the best value."""

    metric: str
    values: tuple[float | None, ...]
    best: tuple[int, ...]


@dataclass(frozen=True)
class SideBySide:
    """*differences* are the config keys with more than one value: key -> the value of each run."""

    runs: tuple[str, ...]
    metrics: tuple[MetricRow, ...]
    differences: dict[str, tuple[Any, ...]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_runs(directories: Sequence[RunDirectory]) -> list[RunFacts]:
    """Raises UsageError when one is no run, IntegrityError when one is damaged."""
    return [read_facts(directory) for directory in directories]


def side_by_side(runs: Sequence[RunFacts]) -> SideBySide:
    """Compare the final figures, and while there are none the last ones of training."""
    figures = [_figures(run) for run in runs]
    names = list(dict.fromkeys(name for row in figures for name in row))
    metrics = tuple(_row(name, [row.get(name) for row in figures]) for name in names)
    return SideBySide(tuple(run.name for run in runs), metrics, _differences(runs))


def _figures(run: RunFacts) -> dict[str, float]:
    last = {
        f"{split}/{metric}": curve.values[-1]
        for split, metric in (("train", "loss"), ("validation", "loss"))
        if (curve := run.curve(split, metric))
    }
    measured = {name: float(value) for name, value in run.result.get("metrics", {}).items()}
    return {**measured, **last}


def _row(name: str, values: list[float | None]) -> MetricRow:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    bare = name.rpartition("/")[2]
    best = (max if bare in HIGHER_IS_BETTER else min)(finite, default=None)
    places = tuple(place for place, value in enumerate(values) if value is not None and value == best)
    return MetricRow(name, tuple(values), places if len(places) < len(values) else ())


def _differences(runs: Sequence[RunFacts]) -> dict[str, tuple[Any, ...]]:
    flats = [flatten(run.record["config"]) for run in runs]
    keys = dict.fromkeys(key for flat in flats for key in flat)
    rows = {key: tuple(flat.get(key) for flat in flats) for key in keys}
    return {
        key: values
        for key, values in rows.items()
        if not key.startswith(_OUTSIDE) and any(value != values[0] for value in values)
    }
