from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.errors import DataError
from codex_ml.metrics import bits_per_byte, mean_interval, perplexity, token_accuracy

SUMS = st.lists(st.tuples(st.floats(0, 1e4), st.integers(1, 100)), min_size=1, max_size=20)


@given(st.floats(0, 700))
def test_perplexity_is_the_exponential_and_grows_with_the_loss(loss: float) -> None:
    assert perplexity(loss) == pytest.approx(math.exp(loss))
    assert perplexity(loss + 1) == pytest.approx(math.e * perplexity(loss))


def test_perplexity_beyond_the_range_is_infinite_and_nan_stays() -> None:
    assert perplexity(1000) == math.inf
    assert math.isnan(perplexity(math.nan))


@given(st.integers(1, 1000), st.integers(1, 8))
def test_a_uniform_guess_over_bytes_costs_its_bits(count: int, bits: int) -> None:
    assert bits_per_byte(count * bits * math.log(2), count) == pytest.approx(bits)


@given(st.floats(0, 1e6), st.integers(1, 10**6), st.integers(1, 50))
def test_bits_per_byte_do_not_depend_on_how_much_text_there_is(nll: float, size: int, times: int) -> None:
    assert bits_per_byte(times * nll, times * size) == pytest.approx(bits_per_byte(nll, size))


@pytest.mark.parametrize("size", [0, -1])
def test_no_bytes_have_no_bits(size: int) -> None:
    with pytest.raises(DataError) as caught:
        bits_per_byte(1.0, size)
    assert caught.value.code == "metrics.empty"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_accuracy_is_the_share_of_equal_positions(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    assert token_accuracy(ours, theirs) == np.mean([a == b for a, b in pairs])
    assert token_accuracy(ours, ours) == 1.0


@pytest.mark.parametrize(("ours", "theirs"), [([1], [1, 2]), ([1, 2], [1]), ([], []), ([1], [])])
def test_lengths_that_do_not_match_are_errors(ours: list[int], theirs: list[int]) -> None:
    for act in (lambda: token_accuracy(ours, theirs), lambda: mean_interval(ours, theirs)):
        with pytest.raises(DataError) as caught:
            act()
        assert caught.value.code == "metrics.length"


@given(SUMS)
def test_the_interval_holds_the_ratio_of_the_sums(rows: list[tuple[float, int]]) -> None:
    sums, counts = zip(*rows, strict=True)
    ratio, low, high = mean_interval(sums, counts)
    assert low <= ratio <= high
    assert ratio == pytest.approx(sum(sums) / sum(counts))
    assert high - ratio == pytest.approx(ratio - low, abs=1e-9 * (1 + ratio))


@given(SUMS, st.floats(0.1, 10))
def test_the_interval_scales_with_its_unit(rows: list[tuple[float, int]], factor: float) -> None:
    sums, counts = zip(*rows, strict=True)
    scaled = mean_interval([factor * value for value in sums], counts)
    assert scaled == pytest.approx([factor * value for value in mean_interval(sums, counts)], abs=1e-6)


def test_rows_that_agree_have_an_interval_of_no_width_and_one_row_too() -> None:
    assert mean_interval([2.0, 4.0, 6.0], [1, 2, 3]) == pytest.approx((2.0, 2.0, 2.0))
    assert mean_interval([3.0], [2]) == (1.5, 1.5, 1.5)


def test_nothing_counted_is_an_error() -> None:
    with pytest.raises(DataError):
        mean_interval([1.0], [0])


def test_the_interval_covers_the_truth_in_about_95_of_100_worlds() -> None:
    rng = np.random.default_rng(0)
    truth, covered, worlds = 2.0, 0, 2000
    for _ in range(worlds):
        counts = rng.integers(20, 60, size=40)
        sums = counts * rng.gamma(4.0, truth / 4.0, size=40)
        _, low, high = mean_interval(sums.tolist(), counts.tolist())
        covered += low <= truth <= high
    assert 0.92 < covered / worlds < 0.97
