"""The permutation: a bijection of real quality, and batches that need no history."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_ml.data.order import ALGORITHM, batch_rows, permute
from codex_ml.errors import DataError

SIZES = [1, 2, 3, 5, 16, 100, 255, 256, 257, 1000, 4095, 4097, 100_000]


def whole(size: int, seed: int = 1) -> np.ndarray:
    return permute(np.arange(size), seed=seed, size=size)


@pytest.mark.parametrize("size", SIZES)
def test_every_item_comes_exactly_once(size: int) -> None:
    assert np.array_equal(np.sort(whole(size)), np.arange(size))


@given(st.integers(1, 5000), st.integers(0, 2**63 - 1))
@settings(max_examples=100)
def test_every_item_comes_exactly_once_for_any_size_and_seed(size: int, seed: int) -> None:
    assert np.array_equal(np.sort(whole(size, seed)), np.arange(size))


@given(st.integers(1, 2**40), st.integers(0, 2**63 - 1), st.data())
@settings(max_examples=100)
def test_one_position_alone_goes_where_it_goes_among_others(
    size: int, seed: int, data: st.DataObject
) -> None:
    positions = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=9))
    together = permute(np.array(positions), seed=seed, size=size)
    alone = [int(permute(np.array([p]), seed=seed, size=size)[0]) for p in positions]
    assert together.tolist() == alone
    assert all(0 <= value < size for value in alone)


def test_the_numbers_are_those_of_this_version() -> None:
    assert ALGORITHM == "feistel-splitmix64/1"
    assert whole(10, seed=0).tolist() == GOLDEN[0]
    assert permute(np.array([0, 1, 999_999]), seed=1234, size=1_000_000).tolist() == GOLDEN[1]
    assert batch_rows(7, seed=42, rows=50, batch_size=8).tolist() == GOLDEN[2]


GOLDEN: list[list[int]] = [
    [9, 6, 2, 1, 8, 0, 7, 5, 3, 4],
    [326576, 356956, 627359],
    [12, 33, 15, 35, 8, 25, 9, 16],
]


@pytest.mark.parametrize("size", [1 << 16, 100_000, 1 << 18, 3_000_001])
def test_order_looks_like_chance(size: int) -> None:
    flips, correlations, residues = [], [], np.zeros(64)
    for seed in range(1 if size > 1 << 20 else 4):
        out = whole(size, seed)
        flips.append(float(np.mean((out[1:] ^ out[:-1]) & 1)))
        correlations.append(float(np.corrcoef(out[1:], out[:-1])[0, 1]))
        residues += np.bincount((out[1:] - out[:-1]) % 64, minlength=64)
    assert abs(np.mean(flips) - 0.5) < 0.01
    assert max(map(abs, correlations)) < 0.01
    expected = residues.sum() / 64
    assert ((residues - expected) ** 2 / expected).sum() < 120  # chi-square, 63 degrees: beyond 1 in 10^5


def test_a_position_of_a_fixed_block_lands_anywhere() -> None:
    size = 64_000
    out = whole(size)
    for block in range(0, size, 6400):
        share = np.bincount(out[block : block + 6400] // 6400, minlength=10)
        assert share.min() > 480
        assert share.max() < 820


def test_all_orders_of_four_items_come_about_equally_often() -> None:
    seen: dict[tuple[int, ...], int] = {}
    for seed in range(480):
        order = tuple(whole(4, seed).tolist())
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    assert min(seen.values()) > 5
    assert max(seen.values()) < 45


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 2**63 - 1))
@settings(max_examples=25)
def test_batches_run_through_every_row_once_per_epoch(rows: int, batch: int, seed: int) -> None:
    if rows < batch:
        return
    steps = -(-3 * rows // batch)
    stream = np.concatenate([batch_rows(s, seed=seed, rows=rows, batch_size=batch) for s in range(steps)])
    for epoch in range(3):
        assert np.array_equal(np.sort(stream[epoch * rows : (epoch + 1) * rows]), np.arange(rows))


def test_a_batch_size_does_not_change_the_order() -> None:
    small = np.concatenate([batch_rows(step, seed=3, rows=100, batch_size=4) for step in range(60)])
    large = np.concatenate([batch_rows(step, seed=3, rows=100, batch_size=12) for step in range(20)])
    assert np.array_equal(small, large)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    one, two = (batch_rows(step, seed=3, rows=100, batch_size=100).tolist() for step in (0, 1))
    other = batch_rows(0, seed=4, rows=100, batch_size=100).tolist()
    assert one != two
    assert one != other


def test_a_corpus_smaller_than_a_batch_is_a_clear_error() -> None:
    with pytest.raises(DataError) as caught:
        batch_rows(0, seed=0, rows=7, batch_size=8)
    assert caught.value.code == "data.small"


@pytest.mark.parametrize("positions", [[-1], [5], [0, 9]])
def test_a_position_outside_is_refused(positions: list[int]) -> None:
    with pytest.raises(ValueError, match=r"0\.\.4"):
        permute(np.array(positions), seed=0, size=5)
