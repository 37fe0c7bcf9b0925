from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.config.schema import ScheduleConfig
from codex_ml.training.schedule import lr_scale, may_grow

pytestmark = pytest.mark.needs("train")
BASE = ScheduleConfig(name="cosine", warmup_steps=10, decay_share=0.4, min_ratio=0.1)
SHAPES = ["cosine", "wsd", "constant"]


def curve(steps: int, **changes: object) -> list[float]:
    cfg = dataclasses.replace(BASE, **changes)  # type: ignore[arg-type]
    return [lr_scale(step, steps=steps, cfg=cfg) for step in range(steps)]


@pytest.mark.parametrize("name", SHAPES)
def test_warm_up_is_a_straight_line_from_its_first_share_to_the_peak(name: str) -> None:
    found = curve(100, name=name)
    assert found[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert found[10] == pytest.approx(1.0, abs=1e-9)


@given(st.sampled_from(SHAPES), st.integers(1, 400), st.integers(0, 100), st.floats(0.01, 1), st.floats(0, 1))
def test_every_schedule_stays_between_its_floor_and_the_peak_and_falls_after_it(
    name: str, length: int, warmup: int, decay: float, floor: float
) -> None:
    found = curve(warmup + length, name=name, warmup_steps=warmup, decay_share=decay, min_ratio=floor)
    assert all(0 < value <= 1 + 1e-12 for value in found[:-1])
    after = found[warmup:]
    assert all(floor - 1e-12 <= value for value in after)
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(after))


@pytest.mark.parametrize("name", SHAPES)
def test_no_step_jumps(name: str) -> None:
    """The largest change between two updates is that of warm-up or of the decay, spread evenly."""
    found = curve(1000, name=name, warmup_steps=100, decay_share=0.4)
    largest = max(abs(b - a) for a, b in itertools.pairwise(found))
    assert largest <= 0.01 + 1e-9


def test_cosine_is_half_way_down_in_the_middle_and_at_its_floor_where_it_ends() -> None:
    cfg = dataclasses.replace(BASE, warmup_steps=0)
    assert lr_scale(50, steps=100, cfg=cfg) == pytest.approx(0.55)
    assert lr_scale(100, steps=100, cfg=cfg) == pytest.approx(0.1)
    assert lr_scale(99, steps=100, cfg=cfg) == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi * 0.99)))


def test_wsd_is_stable_until_its_last_share_and_then_a_straight_line_to_its_floor() -> None:
    found = curve(100, name="wsd", min_ratio=0.0)
    assert found[10:61] == pytest.approx([1.0] * 51)
    assert found[60:] == pytest.approx([1 - n / 40 for n in range(40)])


def test_constant_knows_no_end() -> None:
    assert curve(50, name="constant")[10:] == [1.0] * 40
    assert curve(50, name="constant") == curve(500, name="constant")[:50]


@pytest.mark.parametrize("name", SHAPES)
def test_without_warm_up_the_first_update_has_the_peak(name: str) -> None:
    assert curve(10, name=name, warmup_steps=0)[0] == pytest.approx(1.0)


# ---- may a run of other steps go on --------------------------------------------------------------


def grows(before: int, after: int, done: int, **changes: object) -> bool:
    return may_grow(before, after, done, cfg=dataclasses.replace(BASE, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("done", [0, 1, 10, 40])
def test_a_constant_run_may_always_grow(done: int) -> None:
    assert grows(40, 41, done, name="constant")
    assert grows(40, 10**9, done, name="constant")


def test_a_wsd_run_may_grow_until_its_decay_has_begun() -> None:
    """Of 100 steps the last 40 decay: update 60 is the last one at the peak."""
    assert [done for done in range(101) if grows(100, 200, done, name="wsd")] == list(range(62))
    assert not grows(100, 101, 100, name="wsd")


def test_a_cosine_run_may_grow_during_its_warm_up_only() -> None:
    """Update 10, the first after the warm-up, still has the peak."""
    assert [done for done in range(101) if grows(100, 200, done, name="cosine")] == list(range(12))


@given(
    st.sampled_from(SHAPES),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 20),
    st.floats(0.05, 1),
    st.data(),
)
def test_a_run_may_grow_exactly_where_its_steps_so_far_had_the_same_rates(
    name: str, before: int, after: int, warmup: int, decay: float, data: st.DataObject
) -> None:
    cfg = dataclasses.replace(BASE, name=name, warmup_steps=warmup, decay_share=decay)  # type: ignore[arg-type]
    done = data.draw(st.integers(0, min(before, after)))
    same = all(lr_scale(n, steps=before, cfg=cfg) == lr_scale(n, steps=after, cfg=cfg) for n in range(done))
    assert may_grow(before, after, done, cfg=cfg) == same
