"""Attention by documents: equal to attention of each alone, in both directions, to the bit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_ml.modeling.documents import document_attention, document_slices

pytestmark = pytest.mark.needs("train")

SCALE = 0.25


def positions_of(rows: list[list[int]]) -> torch.Tensor:
    return torch.stack([torch.cat([torch.arange(n) for n in lengths]) for lengths in rows])


def random_parts(
    batch: int, time: int, *, heads: int = 2, width: int = 8, seed: int = 0
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, heads, time, width)
    return [torch.randn(shape, generator=generator, requires_grad=True) for _ in range(3)]


def alone(parts: list[torch.Tensor], positions_BT: torch.Tensor) -> torch.Tensor:
    q, k, v = parts
    out = torch.zeros(q.transpose(1, 2).shape)
    for row, start, stop in document_slices(positions_BT):
        here = [part[row : row + 1, :, start:stop] for part in (q, k, v)]
        found = F.scaled_dot_product_attention(here[0], here[1], here[2], is_causal=True, scale=SCALE)
        out[row, start:stop] = found[0].transpose(0, 1)
    return out


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    cut=st.integers(0, 5),
    seed=st.integers(0, 100),
)
@settings(max_examples=40)
def test_every_document_is_attended_as_if_it_were_alone(lengths: list[int], cut: int, seed: int) -> None:
    total = sum(lengths)
    other = [total - min(cut, total - 1), min(cut, total - 1)]
    positions_BT = positions_of([lengths, [n for n in other if n]])
    parts = random_parts(2, total, seed=seed)
    out, _ = document_attention(*parts, positions_BT, SCALE)
    expected = alone(parts, positions_BT)
    assert torch.equal(out, expected)
    outer = torch.randn(out.shape, generator=torch.Generator().manual_seed(seed))
    for one, two in zip(
        torch.autograd.grad(out, parts, outer), torch.autograd.grad(expected, parts, outer), strict=True
    ):
        assert torch.equal(one, two)


def test_the_operator_keeps_the_rules_that_the_compiler_relies_on() -> None:
    positions_BT = positions_of([[5, 3], [8]])
    torch.library.opcheck(document_attention, (*random_parts(2, 8), positions_BT, SCALE))


def test_slices_are_the_documents_in_order() -> None:
    assert list(document_slices(positions_of([[2, 1, 3], [6]]))) == [
        *((0, 0, 2), (0, 2, 3), (0, 3, 6)),
        (1, 0, 6),
    ]


def test_a_row_that_begins_inside_a_document_is_refused() -> None:
    with pytest.raises(ValueError, match="position 0"):
        list(document_slices(torch.tensor([[1, 2, 3]])))


def test_the_way_of_other_devices_gives_the_same_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU goes through PyTorch's own attention, differentiated inside the operator."""
    from codex_ml.modeling import documents

    positions_BT = positions_of([[5, 3], [8]])
    parts = random_parts(2, 8)
    outer = torch.randn(2, 8, 2, 8, generator=torch.Generator().manual_seed(3))
    own = torch.autograd.grad(document_attention(*parts, positions_BT, SCALE)[0], parts, outer)
    monkeypatch.setattr(documents, "_has_kernel", lambda part: False)
    again = torch.autograd.grad(document_attention(*parts, positions_BT, SCALE)[0], parts, outer)
    for one, two in zip(own, again, strict=True):
        assert torch.allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("more", [{"softcap": 30.0}, {"sliding_window": 4}, {"dropout": 0.1}, {"s_aux": 1}])
def test_attention_that_is_more_than_causal_is_refused(more: dict[str, float]) -> None:
    from codex_ml.errors import TrainingError
    from codex_ml.modeling.documents import attend

    q, k, v = random_parts(1, 8)
    with pytest.raises(TrainingError) as caught:
        attend(None, q, k, v, None, scaling=SCALE, **more)
    assert caught.value.code == "train.attention"


@pytest.mark.parametrize(("family", "key"), [("gpt2", "attn_pdrop"), ("llama", "attention_dropout")])
def test_dropout_in_attention_is_named_by_the_key_of_the_config(family: str, key: str) -> None:
    from codex_ml.errors import TrainingError
    from codex_ml.modeling.documents import attend
    from tiny_models import build

    config = build(family, **{key: 0.1}).config
    q, k, v = random_parts(1, 8)
    with pytest.raises(TrainingError) as caught:
        attend(SimpleNamespace(config=config), q, k, v, None, scaling=SCALE, dropout=0.1)
    assert caught.value.next_step == f"set {key} to 0 in the config.json of the model"
