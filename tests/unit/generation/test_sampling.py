from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.needs("train")
PLAIN = {"temperature": 1.0, "top_p": 1.0, "seed": 0, "sample": 0, "position": 0}


def draw(logits: Any, **changes: Any) -> list[int]:
    import torch

    from codex_ml.generation.sampling import next_tokens

    return next_tokens(torch.as_tensor(logits, dtype=torch.float32), **(PLAIN | changes)).tolist()


def test_temperature_zero_is_the_likeliest_token_whatever_the_seed() -> None:
    import torch

    logits_BV = torch.randn(20, 50, generator=torch.Generator().manual_seed(0))
    for seed in range(3):
        assert draw(logits_BV, temperature=0, seed=seed) == logits_BV.argmax(-1).tolist()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_those_of_the_tempered_softmax(temperature: float) -> None:
    import torch

    logits_V = torch.tensor([2.0, 1.0, 0.0, -1.0, 0.5])
    count = 8000
    tokens = draw(logits_V.expand(count, -1), temperature=temperature)
    found_V = torch.bincount(torch.tensor(tokens), minlength=5) / count
    expected_V = torch.softmax(logits_V / temperature, -1)
    # Five standard deviations of a proportion over `count` independent draws.
    assert bool(((found_V - expected_V).abs() < 5 * (expected_V * (1 - expected_V) / count).sqrt()).all())


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.4, {3}), (0.5, {3}), (0.51, {3, 1}), (0.8, {3, 1}), (0.81, {3, 1, 0}), (1.0, {0, 1, 2, 3})],
)
def test_only_the_smallest_set_that_reaches_top_p_is_drawn_in_its_proportions(
    top_p: float, kept: set[int]
) -> None:
    import torch

    probabilities_V = torch.tensor([0.15, 0.3, 0.05, 0.5], dtype=torch.float64)
    count = 4000
    tokens = torch.tensor(draw(probabilities_V.log().expand(count, -1), top_p=top_p))
    assert set(tokens.tolist()) == kept
    total = float(probabilities_V[sorted(kept)].sum())
    for token in kept:
        expected = float(probabilities_V[token]) / total
        assert float((tokens == token).double().mean()) == pytest.approx(expected, abs=0.04)


def test_a_tiny_nucleus_still_holds_one_token() -> None:
    assert draw([[0.0, 5.0, 1.0]] * 50, top_p=1e-9) == [1] * 50


def test_a_draw_depends_on_seed_sample_and_position_and_not_on_its_neighbours() -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    logits_BV = torch.randn(8, 100, generator=generator)
    other_BV = torch.randn(8, 100, generator=generator)
    together = draw(logits_BV, position=4)
    for row in range(8):
        alone = draw(logits_BV[row : row + 1], sample=row, position=4)
        mixed_BV = other_BV.clone()
        mixed_BV[row] = logits_BV[row]
        assert alone[0] == together[row] == draw(mixed_BV, position=4)[row]
    same_BV = logits_BV[:1].expand(200, -1)
    base = draw(same_BV)
    assert base == draw(same_BV)
    assert all(draw(same_BV, **{name: 1}) != base for name in ("seed", "position"))
    assert draw(same_BV[:199], sample=1) == base[1:]


def test_impossible_tokens_are_never_drawn() -> None:
    assert set(draw([[float("-inf"), 0.0, float("-inf"), 0.0]] * 500)) == {1, 3}


def test_logits_in_half_precision_are_sampled_as_their_values() -> None:
    import torch

    from codex_ml.generation.sampling import next_tokens

    logits_BV = torch.randn(64, 40, generator=torch.Generator().manual_seed(2)).bfloat16()
    assert next_tokens(logits_BV, **PLAIN).tolist() == draw(logits_BV.float())
