from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.report.facts import EMPTY, Series
from codex_ml.report.terminal import SIGNS, plot


def series(values: list[float]) -> Series:
    return Series(tuple(range(10, 10 * len(values) + 10, 10)), tuple(values))


def test_a_falling_curve_falls_and_its_axis_names_its_ends() -> None:
    lines = plot([series([4.0, 3.0, 2.0, 1.0])], width=60, height=8)
    assert lines[0].lstrip().startswith("4") and "1" in lines[7].split("│")[0]
    assert lines[-1].strip().startswith("step└10") and lines[-1].endswith("40")
    left, right = lines[0].partition("│")[2], lines[7].partition("│")[2]
    assert left[0] != " " and right[-1] != " "
    assert set(left[10:]) <= {" ", "⠀"} or len(left) < 20


def test_several_runs_have_a_sign_each() -> None:
    text = "\n".join(plot([series([1.0, 2.0]), series([2.0, 1.0])], width=60, height=8))
    assert text.count(SIGNS[0]) == 2 and text.count(SIGNS[1]) == 2


def test_what_cannot_be_drawn_is_left_out_and_nothing_gives_no_line() -> None:
    assert plot([EMPTY], width=60, height=8) == []
    assert plot([series([math.nan, math.inf])], width=60, height=8) == []
    assert plot([series([-1.0, 0.0])], width=60, height=8, log=True) == []
    assert len(plot([series([math.nan, 2.0])], width=60, height=8)) == 9


@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=30),
    width=st.integers(1, 150),
    height=st.integers(1, 30),
    log=st.booleans(),
)
def test_no_line_is_wider_than_asked_and_there_are_as_many_as_asked(
    values: list[float], width: int, height: int, log: bool
) -> None:
    lines = plot([series(values)], width=width, height=height, log=log)
    assert len(lines) in (0, height + 1)
    assert all(len(line) <= max(width, 32) for line in lines[:-1])


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [1e300, -1e300]])
def test_curves_without_extent_and_of_huge_extent_are_drawn(values: list[float]) -> None:
    assert len(plot([series(values)], width=40, height=4)) == 5
