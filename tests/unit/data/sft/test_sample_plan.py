"""The laws of the plan: every sample once, whole, no row too full, nothing that could still be joined."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.data.sft.plan import flatten, plan_rows

pytestmark = pytest.mark.needs("train")


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], int]:
    capacity = draw(st.integers(1, 70))
    return draw(st.lists(st.integers(1, capacity), max_size=60)), capacity


@given(cases())
def test_best_fit_keeps_its_laws(case: tuple[list[int], int]) -> None:
    sizes, capacity = case
    rows = plan_rows(sizes, capacity=capacity, packing="best_fit")
    assert sorted(index for row in rows for index in row) == list(range(len(sizes)))
    loads = sorted(sum(sizes[index] for index in row) for row in rows)
    assert all(0 < load <= capacity for load in loads)
    assert len(loads) < 2 or loads[0] + loads[1] > capacity  # no two rows would fit into one
    least = -(-sum(sizes) // capacity)
    # Best fit takes at most 11/9 of the best plan and one row more; the sum bounds that plan from below
    # only where samples are small, so large ones are counted by themselves.
    least = max(least, sum(size > capacity / 2 for size in sizes))
    assert len(rows) <= 11 / 9 * max(least, 1) * 1.5 + 1
    assert plan_rows(np.array(sizes, dtype=np.int64), capacity=capacity, packing="best_fit") == rows
    assert all(row == sorted(row) for row in rows)
    assert rows == sorted(rows)


def test_best_fit_takes_the_fullest_row_that_has_room() -> None:
    # After 7 and 6 stand alone the 3 belongs to the 7, and the 4 to the 6.
    assert plan_rows([3, 7, 4, 6], capacity=10, packing="best_fit") == [[0, 1], [2, 3]]


@given(cases())
def test_without_packing_each_sample_is_a_row(case: tuple[list[int], int]) -> None:
    sizes, capacity = case
    assert plan_rows(sizes, capacity=capacity, packing="none") == [[index] for index in range(len(sizes))]


def test_the_flat_plan_holds_the_same() -> None:
    members, starts = flatten([[0, 2], [1]])
    assert members.tolist() == [0, 2, 1]
    assert starts.tolist() == [0, 2, 3]
    members, starts = flatten([])
    assert members.tolist() == []
    assert starts.tolist() == [0]


def test_many_samples_are_planned_fast_and_fill_their_rows() -> None:
    sizes = np.random.default_rng(0).integers(1, 2048, 50_000)
    began = time.process_time()
    rows = plan_rows(sizes, capacity=2048, packing="best_fit")
    assert time.process_time() - began < 5
    assert sizes.sum() / (len(rows) * 2048) > 0.99
