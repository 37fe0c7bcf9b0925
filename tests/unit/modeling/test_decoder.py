"""The reference decoder against transformers' Llama, its own cache, and causality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from codex_ml.modeling.decoder import Decoder

pytestmark = pytest.mark.needs("train")

#: name -> (words of the config, vocabulary)
SHAPES = {
    "tied": (["model.dim=64", "model.heads=4", "model.kv_heads=4"], 97),
    "grouped": (["model.dim=48", "model.heads=6", "model.kv_heads=2", "model.layers=3"], 101),
    "one-kv-head": (["model.dim=40", "model.heads=4", "model.kv_heads=1", "model.ffn_dim=37"], 61),
    "untied": (["model.dim=24", "model.heads=2", "model.kv_heads=2", "model.tie_embeddings=false"], 33),
    "odd": (
        [
            *("model.dim=30", "model.heads=5", "model.kv_heads=5", "model.ffn_dim=11", "model.layers=1"),
            *("model.norm_eps=1e-3", "model.rope_theta=123.0", "model.tie_embeddings=false"),
        ],
        29,
    ),
}


@pytest.fixture(params=sorted(SHAPES))
def model(request: pytest.FixtureRequest, decoder_of) -> Decoder:
    """A decoder whose weights are far from symmetric, so that a mix-up of any two shows."""
    import torch

    words, vocab = SHAPES[request.param]
    model = decoder_of("model.init_std=0.2", *words, vocab=vocab, seed=3)
    with torch.no_grad():
        for number, (_, parameter) in enumerate(model.named_parameters()):
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator(number)))
    return model.eval()


def generator(seed: int) -> Any:
    import torch

    return torch.Generator().manual_seed(seed)


def tokens_of(model: Decoder, *shape: int, seed: int = 0) -> Any:
    import torch

    return torch.randint(0, model.vocab_size, shape, generator=generator(seed))


def test_logits_equal_those_of_transformers_llama(model: Decoder) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from codex_ml.modeling.export import llama_config

    values = llama_config(model.cfg, vocab_size=model.vocab_size, pad_id=0, end_id=1)
    theirs = LlamaForCausalLM(LlamaConfig(**values)).eval().float()
    state = dict(model.state_dict())
    if model.cfg.tie_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    theirs.load_state_dict(state, strict=True)
    for length in (1, 7, model.cfg.context):
        tokens_BT = tokens_of(model, 2, length, seed=length)
        with torch.no_grad():
            torch.testing.assert_close(model(tokens_BT), theirs(tokens_BT).logits, rtol=1e-5, atol=1e-5)


def test_the_names_of_its_weights_are_those_of_llama(model: Decoder) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from codex_ml.modeling.export import llama_config

    values = llama_config(model.cfg, vocab_size=model.vocab_size, pad_id=0, end_id=1)
    theirs = {name: p.shape for name, p in LlamaForCausalLM(LlamaConfig(**values)).named_parameters()}
    assert {name: p.shape for name, p in model.named_parameters()} == theirs


@pytest.mark.parametrize("pieces", [(1,) * 12, (5, 1, 1, 5), (12,), (3, 4, 5)])
def test_a_cached_forward_in_pieces_equals_one_without_cache(model: Decoder, pieces: tuple[int, ...]) -> None:
    import torch

    from codex_ml.modeling.cache import KeyValueCache

    tokens_BT = tokens_of(model, 3, sum(pieces))
    cache = KeyValueCache(model.cfg, batch=3, dtype=torch.float32, device=torch.device("cpu"))
    parts, start = [], 0
    with torch.no_grad():
        for piece in pieces:
            parts.append(model(tokens_BT[:, start : start + piece], cache=cache))
            cache.advance(piece)
            start += piece
        whole_BTV = model(tokens_BT)
    assert cache.length == sum(pieces)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole_BTV, rtol=1e-5, atol=1e-5)


def test_a_changed_token_changes_no_bit_before_it_and_something_from_it_on(model: Decoder) -> None:
    import torch

    tokens_BT = tokens_of(model, 1, 16)
    with torch.no_grad():
        before = model(tokens_BT)
        for position in (1, 8, 15):
            changed = tokens_BT.clone()
            changed[0, position] = (changed[0, position] + 1) % model.vocab_size
            after = model(changed)
            assert torch.equal(before[:, :position], after[:, :position])
            differs_T = (before != after).any(-1)[0]
            assert bool(differs_T[position:].all())


def test_rows_do_not_see_each_other(model: Decoder) -> None:
    import torch

    tokens_BT = tokens_of(model, 2, 9)
    other_BT = torch.cat((tokens_BT[:1], tokens_of(model, 1, 9, seed=5)))
    with torch.no_grad():
        assert torch.equal(model(tokens_BT)[0], model(other_BT)[0])


def test_recomputed_blocks_give_equal_gradients(decoder_of) -> None:
    import torch

    found = []
    for recompute in (False, True):
        model = decoder_of("model.layers=3", vocab=67)
        model.recompute = recompute
        tokens_BT = tokens_of(model, 2, 12)
        model(tokens_BT).square().sum().backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert torch.equal(gradient, found[1][name]), name


def test_weights_stay_float32_when_products_run_in_bfloat16(config_of) -> None:
    import torch

    from codex_ml.modeling.decoder import Decoder
    from codex_ml.modeling.init import initialise

    cfg = config_of().model
    model, exact = (Decoder(cfg, vocab_size=50, compute_dtype=t) for t in (torch.bfloat16, torch.float32))
    for each in (model, exact):
        initialise(each, seed=0)
    tokens_BT = tokens_of(model, 2, 8)
    logits_BTV = model(tokens_BT)
    assert logits_BTV.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    logits_BTV.float().sum().backward()
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
    torch.testing.assert_close(logits_BTV.float(), exact(tokens_BT), rtol=0.1, atol=0.02)
