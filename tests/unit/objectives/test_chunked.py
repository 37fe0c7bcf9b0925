"""Cross-entropy in chunks is the one that is written down, in value and in gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_ml.core.labels import IGNORE
from codex_ml.objectives.chunked import CHUNK, chunk_loss, chunked_cross_entropy
from codex_ml.objectives.lm import lm_loss

pytestmark = pytest.mark.needs("train")


def parts(positions: int, *, seed: int = 0, vocab: int = 23) -> tuple[Any, Any, Any, Any]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(positions, 6, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(vocab, 6, generator=generator, dtype=torch.float64).requires_grad_()
    bias = torch.randn(vocab, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.randint(0, vocab, (positions,), generator=generator)
    labels[::3] = IGNORE
    return hidden, weight, bias, labels


@given(positions=st.integers(1, 3 * CHUNK), biased=st.booleans(), seed=st.integers(0, 50))
@settings(max_examples=25)
def test_value_and_gradients_are_those_of_the_whole(positions: int, biased: bool, seed: int) -> None:
    hidden, weight, bias, labels = parts(positions, seed=seed)
    trained = [hidden, weight, *([bias] if biased else [])]
    given_bias = bias if biased else None
    loss = chunked_cross_entropy(hidden, weight, given_bias, labels)
    whole = lm_loss(F.linear(hidden, weight, given_bias)[None], labels[None])
    assert float(loss.detach()) == pytest.approx(float(whole.detach()), rel=1e-5, abs=1e-6)
    for one, two in zip(
        torch.autograd.grad(3 * loss, trained), torch.autograd.grad(3 * whole, trained), strict=True
    ):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-5)


def test_no_more_logits_than_those_of_a_chunk_are_alive_at_once() -> None:
    hidden, weight, _, labels = parts(2 * CHUNK + 7)
    seen = []

    def watched(hidden_CD: Any, *rest: Any) -> Any:
        seen.append(len(hidden_CD))
        return chunk_loss(hidden_CD, *rest)

    chunked_cross_entropy(hidden, weight, None, labels, one_chunk=watched)
    assert seen == [CHUNK] * 3


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, weight, _, labels = parts(10)
    chunked_cross_entropy(hidden, weight.detach(), None, labels).backward()
    assert weight.grad is None
    assert hidden.grad is not None


def test_a_narrow_trunk_under_a_wide_head_keeps_the_scale_of_its_gradient() -> None:
    hidden, weight, bias, labels = parts(10)
    narrow = hidden.detach().bfloat16().requires_grad_()
    wide = [weight.detach().float().requires_grad_(), bias.detach().float().requires_grad_()]
    chunked_cross_entropy(narrow, *wide, labels).backward(torch.tensor(1 / 777))
    assert narrow.grad is not None
    once = narrow.grad.clone()
    narrow.grad = None
    chunked_cross_entropy(narrow, *wide, labels).backward(torch.tensor(1.0))
    assert torch.equal(once, (narrow.grad * torch.tensor(1 / 777)).bfloat16())
