"""One page that lays the curves of several runs over each other, beside their figures and configs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.publish import write_file
from codex_ml.report.facts import RunFacts, Series
from codex_ml.report.numbers import ABSENT, number, setting
from codex_ml.report.page import render
from codex_ml.report.side_by_side import SideBySide, side_by_side
from codex_ml.report.smooth import smoothed, thinned
from codex_ml.report.svg import draw, paint

#: Colours of the runs in turn; the seventh run has the first again, dashed.
_COLOURS = ("one", "two", "three", "four", "five", "six")
_STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Overlay:
    """A picture of one metric of all runs. ``svg`` is None when no run recorded it."""

    key: str
    title: str
    caption: str
    svg: str | None


_LOOKS = (
    ("train", "loss", "Training loss", "nats per token"),
    ("validation", "loss", "Validation loss", "nats per token"),
    ("train", "lr", "Learning rate", "learning rate"),
    ("train", "grad_norm", "Gradient norm", "before clipping"),
    ("train", "tokens_per_second", "Throughput", "tokens per second"),
)


def write_comparison(path: Path, runs: Sequence[RunFacts]) -> SideBySide:
    """Write the page of *runs* to *path*, without a script or a link outside itself.

    Raises MissingExtraError without the extra ``report``, StorageError when it cannot be written.
    """
    found = side_by_side(runs)
    context = {
        "runs": [legend(place, run) for place, run in enumerate(runs)],
        "metrics": [_cells(row.metric, row.values, row.best) for row in found.metrics],
        "differences": [
            (key, [setting(value) for value in values]) for key, values in found.differences.items()
        ],
        "charts": overlays(runs),
    }
    write_file(path, render("compare.html.j2", context))
    return found


def overlays(runs: Sequence[RunFacts]) -> list[Overlay]:
    """One picture for each metric that any of *runs* recorded."""
    return [chart for chart in (_overlay(runs, *look) for look in _LOOKS) if chart.svg is not None]


def legend(place: int, run: RunFacts) -> dict[str, str]:
    """How the line of the run at *place* looks, and what it is."""
    dash = ("solid", "dashed", "dotted", "dashed")[place // len(_COLOURS) % len(_STYLES)]
    return {
        "name": run.name,
        "colour": f"var(--series-{place % len(_COLOURS) + 1})",
        "dash": dash,
        "grade": str(run.record["resolved"].get("grade", "unknown")),
        "weights": str(run.result.get("weights_sha256") or "")[:12] or ABSENT,
    }


def _cells(metric: str, values: Sequence[float | None], best: Sequence[int]) -> dict[str, Any]:
    texts = [ABSENT if value is None else number(value, digits=5) for value in values]
    return {"metric": metric, "cells": [(text, place in best) for place, text in enumerate(texts)]}


def _overlay(runs: Sequence[RunFacts], split: str, metric: str, title: str, axis: str) -> Overlay:
    key = f"{split}-{metric}".replace("_", "-")
    lines = [(place, run.curve(split, metric)) for place, run in enumerate(runs)]
    lines = [(place, curve) for place, curve in lines if curve]
    if not lines:
        return Overlay(key, title, "", None)
    smooth = metric == "loss" and split == "train"

    def fill(axes: Any) -> None:
        for place, curve in lines:
            shown = thinned((smoothed(curve) or curve) if smooth else curve)
            axes.plot(shown.steps, _finite(shown), **_style(place, dots=len(shown.steps) <= 30))
        axes.set_xlabel("optimizer step")
        axes.set_ylabel(axis)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.xaxis.set_major_formatter("{x:,.0f}")

    caption = f"{title} ({axis})" + (", smoothed where there are enough records" if smooth else "")
    ends = "; ".join(f"{runs[place].name} {number(curve.values[-1])}" for place, curve in lines)
    return Overlay(key, title, f"{caption}. Last: {ends}.", draw(key, fill, labelled_by=f"caption-{key}"))


def _finite(series: Series) -> list[float]:
    return [value if math.isfinite(value) else math.nan for value in series.values]


def _style(place: int, *, dots: bool) -> dict[str, Any]:
    style: dict[str, Any] = {
        "color": paint(_COLOURS[place % len(_COLOURS)]),
        "linestyle": _STYLES[place // len(_COLOURS) % len(_STYLES)],
    }
    return {**style, "marker": ".", "markersize": 5} if dots else style
