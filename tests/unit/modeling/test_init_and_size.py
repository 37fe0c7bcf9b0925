from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.needs("train")
RESIDUAL = ("o_proj.weight", "down_proj.weight")


def weights(model: Any) -> dict[str, Any]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def test_equal_seeds_give_equal_bits_and_other_seeds_other_ones(decoder_of) -> None:
    import torch

    one, two, other = (weights(decoder_of(seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(not torch.equal(one[name], other[name]) for name in one if one[name].ndim > 1)


def test_what_was_there_before_and_the_global_generator_do_not_matter(decoder_of) -> None:
    import torch

    from codex_ml.modeling.init import initialise

    model = decoder_of(seed=1)
    expected = {name: value.clone() for name, value in weights(model).items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7.0)
    torch.manual_seed(99)
    torch.rand(5)
    before = torch.random.get_rng_state()
    initialise(model, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, expected[name]) for name, value in weights(model).items())


def test_a_layer_is_drawn_alike_whatever_the_depth(decoder_of) -> None:
    """Bit for bit, but for the outputs into the residual stream, which are scaled by the depth."""
    import torch

    shallow, deep = (weights(decoder_of(f"model.layers={layers}")) for layers in (1, 4))
    for name, value in shallow.items():
        if name.endswith(RESIDUAL):
            torch.testing.assert_close(value / 2, deep[name], rtol=1e-6, atol=0)
        else:
            assert torch.equal(value, deep[name]), name


def test_no_two_tensors_hold_the_same_draw(decoder_of) -> None:
    matrices = [value.flatten()[:16] for value in weights(decoder_of()).values() if value.ndim > 1]
    firsts = {tuple((value / value.std()).tolist()) for value in matrices}
    assert len(firsts) == len(matrices)


def test_matrices_have_the_configured_spread_and_norms_are_ones(decoder_of) -> None:
    import torch

    model = decoder_of("model.init_std=0.05", "model.dim=128", "model.layers=2", "model.ffn_dim=256")
    for name, value in weights(model).items():
        if value.ndim == 1:
            assert torch.equal(value, torch.ones_like(value)), name
            continue
        std = 0.05 / (math.sqrt(2 * 2) if name.endswith(RESIDUAL) else 1)
        assert float(value.std()) == pytest.approx(std, rel=0.05), name
        assert abs(float(value.mean())) < 4 * std / math.sqrt(value.numel()), name


@settings(max_examples=30)
@given(
    heads=st.integers(1, 4),
    groups=st.integers(1, 3),
    half_width=st.integers(1, 5),
    layers=st.integers(1, 4),
    ffn=st.integers(8, 60),
    vocab=st.integers(1, 300),
    tied=st.booleans(),
)
def test_the_counted_parameters_are_those_of_the_model(config_of, **shape: Any) -> None:
    import dataclasses

    import torch

    from codex_ml.modeling.decoder import Decoder
    from codex_ml.modeling.size import model_size

    cfg = dataclasses.replace(
        config_of().model,
        heads=shape["heads"] * shape["groups"],
        kv_heads=shape["heads"],
        dim=shape["heads"] * shape["groups"] * shape["half_width"] * 2,
        layers=shape["layers"],
        ffn_dim=shape["ffn"],
        tie_embeddings=shape["tied"],
    )
    size = model_size(cfg, vocab_size=shape["vocab"])
    with torch.device("meta"):
        model = Decoder(cfg, vocab_size=shape["vocab"], compute_dtype=torch.float32)
    assert size.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert size.bytes_float32 == 4 * size.parameters
    tables = [p for n, p in model.named_parameters() if "embed_tokens" in n or "lm_head" in n]
    assert size.embedding_parameters == sum(table.numel() for table in tables)


def test_the_counted_work_is_what_torch_counts(decoder_of) -> None:
    """Matrix products of forward and backward, attention apart: it is counted for half of the scores."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from codex_ml.modeling.size import model_size

    model = decoder_of("model.layers=3", vocab=211)
    cfg, time = model.cfg, model.cfg.context
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, time, dtype=torch.int64)).sum().backward()
    counts = counter.get_flop_counts()["Global"]
    products = sum(value for name, value in counts.items() if "attention" not in str(name))
    attention = 6.0 * cfg.layers * cfg.context * cfg.dim
    assert products / (2 * time) == pytest.approx(
        model_size(cfg, vocab_size=211).flop_per_token - attention, rel=0.01
    )
