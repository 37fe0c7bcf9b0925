from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.report.bars import bars
from codex_ml.report.facts import Series
from codex_ml.report.numbers import duration, number, parameters, percent, setting, size, when
from codex_ml.report.smooth import smoothed, smoothing_span, thinned
from codex_ml.report.svg import PAINTS, draw, paint

pytestmark = pytest.mark.needs("train", "report")


def line(axes: Any) -> None:
    axes.plot([0, 1, 2], [0.25, 1.0, 0.0025], "o", color=paint("one"))
    axes.set_xlabel("steps & <more>")


def test_a_picture_takes_its_colours_from_the_page_and_keeps_its_text() -> None:
    svg = str(draw("a", line, labelled_by="said"))
    assert svg.startswith('<svg class="chart" viewBox=') and svg.endswith("</svg>")
    assert "var(--series-1)" in svg and 'aria-labelledby="said"' in svg
    assert "steps &amp; &lt;more&gt;" in svg
    for absent in (
        *(stand_in for stand_in, _ in PAINTS.values()),
        "http",
        "<style",
        "<metadata",
        "<!--",
        "DejaVu",
    ):
        assert absent not in svg


def test_two_pictures_of_equal_content_share_no_id() -> None:
    one, two = (str(draw(name, line, labelled_by="x")) for name in ("a", "b"))
    ids = [{part.split('"')[0] for part in svg.split(' id="')[1:]} for svg in (one, two)]
    assert ids[0] and not ids[0] & ids[1]
    assert one == str(draw("a", line, labelled_by="x"))


def test_drawing_leaves_no_trace_in_the_process() -> None:
    import sys

    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw("a", line, labelled_by="x")
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@given(st.lists(st.floats(-1e3, 1e3) | st.just(math.nan), min_size=1, max_size=300), st.integers(10, 60))
def test_thinning_keeps_the_extremes_and_the_order(values: list[float], most: int) -> None:
    thin = thinned(Series(tuple(range(len(values))), tuple(values)), most=most)
    assert len(thin.steps) <= most + 2
    assert list(thin.steps) == sorted(set(thin.steps))
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        kept = [value for value in thin.values if math.isfinite(value)]
        assert (min(kept), max(kept)) == (min(finite), max(finite))


def test_smoothing_has_no_bias_and_steps_over_nan() -> None:
    values = (math.nan, *[2.0] * 20, math.nan, *[2.0] * 20)
    mean = smoothed(Series(tuple(range(len(values))), values))
    assert math.isnan(mean.values[0])
    assert mean.values[1:] == pytest.approx([2.0] * 41)
    assert smoothing_span(mean) == 3
    assert not smoothed(Series((1, 2), (1.0, 2.0)))


def test_bars_take_no_length_from_what_is_not_finite() -> None:
    rows = [
        ("a", 1.0, "1"),
        ("b", math.nan, "nan"),
        ("c", math.inf, "inf"),
        ("d", -1.0, "-1"),
        ("e", 2.0, "2"),
    ]
    assert [bar.width for bar in bars(rows, of="largest")] == ["50.00", "0.00", "0.00", "0.00", "100.00"]
    assert next(bar.width for bar in bars(rows, of="sum")) == "33.33"
    assert bars([], of="largest") == []
    assert bars([("a", 0.0, "0")], of="sum")[0].width == "0.00"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(1.43448), "1.434"),
        (number(26.195), "26.20"),
        (number(8309.4), "8,309"),
        (number(0.003), "0.003"),
        (number(1.25e-5), "1.25e-05"),
        (number(0.0), "0"),
        (number(math.nan), "nan"),
        (percent(0.25), "25.0 %"),
        (percent(math.inf), "inf"),
        (size(999), "999 B"),
        (size(31_500_000), "31.5 MB"),
        (size(math.nan), "nan"),
        (parameters(106_816), "107 k"),
        (parameters(12), "12"),
        (duration(2.281), "2.28 s"),
        (duration(math.inf), "inf"),
        (duration(443), "7 min 23 s"),
        (duration(7260), "2 h 01 min"),
        (when(0), "1970-01-01 00:00:00 UTC"),
        (setting("auto"), "auto"),
        (setting(" x\n"), '" x\\n"'),
        (setting(None), "none"),
        (setting([]), "none"),
        (setting(True), "true"),
        (setting(["a"]), '["a"]'),
    ],
)
def test_figures_are_shown_as_people_read_them(shown: str, expected: str) -> None:
    assert shown == expected
