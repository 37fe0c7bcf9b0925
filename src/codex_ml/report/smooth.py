"""Make curves fit for a picture: smoothed, and with no more points than can be seen."""

from __future__ import annotations

import math

from codex_ml.report.facts import EMPTY, Series

#: A curve of fewer points is shown as it is.
LEAST_POINTS = 12
MOST_POINTS = 800


def smoothing_span(series: Series) -> int:
    """Over how many records `smoothed` averages, about."""
    return max(3, len(series.steps) // 15)


def smoothed(series: Series) -> Series:
    """The exponential mean over about `smoothing_span` records, without a bias to its start.

    Values that are not finite are left out of the mean. Empty for a short series.
    """
    if len(series.steps) < LEAST_POINTS:
        return EMPTY
    keep = 1 - 2 / (smoothing_span(series) + 1)
    total = weight = 0.0
    values = []
    for value in series.values:
        if math.isfinite(value):
            total, weight = keep * total + value, keep * weight + 1
        values.append(total / weight if weight else math.nan)
    return Series(series.steps, tuple(values))


def thinned(series: Series, *, most: int = MOST_POINTS) -> Series:
    """At most *most* points: the lowest and the highest of each stretch, so that no spike is lost."""
    if len(series.steps) <= most:
        return series
    stretch = math.ceil(2 * len(series.steps) / most)
    kept: list[int] = []
    for start in range(0, len(series.steps), stretch):
        places = range(start, min(start + stretch, len(series.steps)))
        finite = [place for place in places if math.isfinite(series.values[place])]
        if finite:
            by_value = sorted(finite, key=series.values.__getitem__)
            kept += sorted({by_value[0], by_value[-1]})
        else:
            kept.append(start)
    return Series(tuple(series.steps[i] for i in kept), tuple(series.values[i] for i in kept))
