from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codex_ml.core.draws import draw_seed


def test_draws_are_the_numbers_they_have_always_been() -> None:
    assert draw_seed(0, "data.order.epoch", 0) == GOLDEN[0]
    assert draw_seed(1234, "sample", 3, 7) == GOLDEN[1]


GOLDEN = (7045725281402018166, 3402027904056887845)


@given(st.integers(0, 2**63 - 1), st.text(), st.lists(st.integers(-(2**63), 2**63), max_size=4))
def test_a_draw_is_a_non_negative_63_bit_number_that_depends_on_nothing_else(
    seed: int, purpose: str, counters: list[int]
) -> None:
    first = draw_seed(seed, purpose, *counters)
    assert first == draw_seed(seed, purpose, *counters)
    assert 0 <= first < 2**63


def test_neighbouring_arguments_do_not_run_together() -> None:
    draws = {draw_seed(1, "a", 11), draw_seed(1, "a", 1, 1), draw_seed(11, "a", 1), draw_seed(1, "a1", 1)}
    assert len(draws) == 4
