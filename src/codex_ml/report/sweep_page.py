"""One page for a sweep: its trials in the order of the metric, what each value does, the best curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codex_ml.core.paths import Home
from codex_ml.core.publish import write_file
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.report.comparison import Overlay, legend, overlays
from codex_ml.report.facts import read_facts
from codex_ml.report.numbers import ABSENT, duration, number
from codex_ml.report.page import render
from codex_ml.report.svg import draw, paint

#: So many of the best runs have their curves drawn.
_CURVES = 6


def write_sweep_page(home: Home, *, name: str, metric: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write ``sweep.html`` beside the record of the sweep; *rows* are its trials, the best first.

    Raises MissingExtraError without the extra ``report``, StorageError when it cannot be written.
    """
    directories = [RunDirectory(home.run(row["run"])) for row in rows if row["value"] is not None]
    # A trial is a run like any other, and may have been moved or removed since.
    runs = [read_facts(found) for found in directories if found.manifest.is_file()][:_CURVES]
    keys = list(dict.fromkeys(key for row in rows for key in _varied(row)))
    context = {
        "name": name,
        "metric": metric,
        "keys": keys,
        "trials": [_cells(row, keys) for row in rows],
        "finished": sum(row["value"] is not None for row in rows),
        "scatters": [chart for key in keys if (chart := _scatter(key, rows, metric)) is not None],
        "runs": [legend(place, run) for place, run in enumerate(runs)],
        "charts": overlays(runs),
    }
    path = home.sweep(name) / "sweep.html"
    write_file(path, render("sweep.html.j2", context))
    return path


def _varied(row: Mapping[str, Any]) -> dict[str, str]:
    return dict(word.lstrip("+").split("=", 1) for word in row["words"])


def _cells(row: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    varied = _varied(row)
    value = row["value"]
    return {
        "run": row["run"],
        "value": row["state"] if value is None else number(value, digits=5),
        "varied": [varied.get(key, ABSENT) for key in keys],
        "took": ABSENT if row["seconds"] is None else duration(row["seconds"]),
        "fault": row["fault"] or "",
    }


def _scatter(key: str, rows: Sequence[Mapping[str, Any]], metric: str) -> Overlay | None:
    """The metric over the values of one key; values that are words stand in their own order."""
    pairs = [(_varied(row).get(key), row["value"]) for row in rows if row["value"] is not None]
    points = [(text, value) for text, value in pairs if text is not None and math.isfinite(value)]
    if len({text for text, _ in points}) < 2:
        return None
    numbers = [_as_number(text) for text, _ in points]
    words = sorted({text for text, _ in points})
    numeric = all(found is not None for found in numbers)
    places = [
        float(found) if numeric and found is not None else words.index(text)
        for (text, _), found in zip(points, numbers, strict=True)
    ]
    wide = numeric and min(places) > 0 and max(places) >= 20 * min(places)

    def fill(axes: Any) -> None:
        axes.plot(places, [value for _, value in points], "o", color=paint("one"), markersize=5)
        if wide:
            axes.set_xscale("log")
        if not numeric:
            axes.set_xticks(range(len(words)), [str(place + 1) for place in range(len(words))])
        axes.set_xlabel("value")
        axes.set_ylabel("metric")

    slug = "".join(sign if sign.isalnum() else "-" for sign in key)
    told = "" if numeric else "; " + ", ".join(f"{place} is {word}" for place, word in enumerate(words, 1))
    caption = f"{metric} of {len(points)} trials over {key}{' (logarithmic)' if wide else ''}{told}."
    svg = draw(f"scatter-{slug}", fill, labelled_by=f"caption-scatter-{slug}")
    return Overlay(f"scatter-{slug}", key, caption, svg)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
