from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.data.order import batch_rows, permute, steps_of, unpermute


@given(size=st.integers(1, 5000), seed=st.integers(0, 2**62))
def test_unpermute_is_the_inverse_of_permute(size: int, seed: int) -> None:
    positions = np.arange(size)
    assert (unpermute(permute(positions, seed=seed, size=size), seed=seed, size=size) == positions).all()


@given(
    size=st.integers(4, 60),
    batch_size=st.integers(1, 4),
    steps=st.integers(1, 60),
    seed=st.integers(0, 2**62),
    data=st.data(),
)
def test_the_steps_of_rows_are_those_whose_batches_hold_them(
    size: int, batch_size: int, steps: int, seed: int, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4, unique=True))
    wanted = sorted(
        (step, int(row))
        for step in range(steps)
        for row in batch_rows(step, seed=seed, rows=size, batch_size=batch_size)
        if row in rows
    )
    found = steps_of(np.array(rows), seed=seed, size=size, batch_size=batch_size, steps=steps)
    assert found == wanted


@pytest.mark.parametrize("value", [-1, 7])
def test_a_value_outside_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match=r"0\.\.6"):
        unpermute(np.array([value]), seed=1, size=7)
