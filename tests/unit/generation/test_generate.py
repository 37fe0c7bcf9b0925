from __future__ import annotations

from typing import Any

import pytest

from codex_ml.errors import DataError

pytestmark = pytest.mark.needs("train")
END = 0


@pytest.fixture(scope="module")
def model(decoder_of) -> Any:
    return decoder_of("model.init_std=0.3", vocab=40, seed=1).eval()


def complete(model: Any, prompt: list[int], **changes: Any) -> Any:
    from codex_ml.generation.generate import complete

    options = {"samples": 1, "max_tokens": 10, "temperature": 1.0, "top_p": 1.0, "seed": 0, "end": END}
    return complete(model, prompt, **(options | changes))


def uncached(model: Any, prompt: list[int], *, steps: int, end: int) -> list[int]:
    """Greedy decoding that reads the whole text again for every token."""
    import torch

    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(steps):
            token = int(model(torch.tensor([tokens]))[0, -1].argmax())
            if token == end:
                break
            tokens.append(token)
    return tokens[len(prompt) :]


@pytest.mark.parametrize("prompt", [[1], [5, 6, 7, 8, 9, 10, 11]])
def test_greedy_completion_is_that_of_the_whole_text_read_again(model, prompt: list[int]) -> None:
    (done,) = complete(model, prompt, temperature=0, max_tokens=20, end=-1)
    assert list(done.tokens) == uncached(model, prompt, steps=20, end=-1)
    assert len(done.tokens) == 20 and not done.ended


def test_a_completion_ends_before_the_end_token_and_others_go_on(model) -> None:
    whole = complete(model, [3], samples=12, max_tokens=25, end=-1, seed=4)
    token = whole[0].tokens[4]
    cut = complete(model, [3], samples=12, max_tokens=25, end=token, seed=4)
    for full, short in zip(whole, cut, strict=True):
        ended = token in full.tokens
        expected = full.tokens[: full.tokens.index(token)] if ended else full.tokens
        assert (short.tokens, short.ended) == (expected, ended)
    assert any(not short.ended for short in cut) or len({len(s.tokens) for s in cut}) > 1


def test_it_stops_at_the_limit_and_where_the_context_is_full(model) -> None:
    context = model.cfg.context
    assert len(complete(model, [1], max_tokens=3, end=-1)[0].tokens) == 3
    for length in (1, context - 1):
        (done,) = complete(model, [1] * length, max_tokens=10_000, end=-1)
        assert len(done.tokens) == context - length
        assert not done.ended


@pytest.mark.parametrize("length", [0, 32, 33, 100])
def test_a_prompt_that_does_not_fit_is_an_error(model, length: int) -> None:
    with pytest.raises(DataError) as caught:
        complete(model, [1] * length)
    assert caught.value.code == "generate.prompt"
    assert f"{length} tokens" in str(caught.value)
    assert "model.context=32" in str(caught.value)


def test_samples_repeat_by_seed_differ_from_each_other_and_do_not_depend_on_their_number(model) -> None:
    many = complete(model, [2], samples=6, seed=9)
    assert many == complete(model, [2], samples=6, seed=9)
    assert many != complete(model, [2], samples=6, seed=10)
    assert len({done.tokens for done in many}) > 1
    assert complete(model, [2], samples=2, seed=9) == many[:2]


def test_generation_leaves_no_gradient_behind(model) -> None:
    complete(model, [1])
    assert all(parameter.grad is None for parameter in model.parameters())
