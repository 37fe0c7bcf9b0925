"""All documents in one kernel: the same boundaries as slices everywhere, the same results on a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from codex_ml.modeling import documents, varlen

pytestmark = pytest.mark.needs("train")

SCALE = 0.25


def positions_of(rows: list[list[int]]) -> torch.Tensor:
    return torch.stack([torch.cat([torch.arange(n) for n in lengths]) for lengths in rows])


@given(
    rows=st.integers(1, 12).flatmap(
        lambda time: st.lists(
            st.lists(st.integers(1, time), min_size=1, max_size=6)
            .filter(lambda n: sum(n) <= time)
            .map(lambda n: [*n, time - sum(n)] if sum(n) < time else n),
            min_size=1,
            max_size=4,
        )
    )
)
@settings(max_examples=60)
def test_the_kernel_is_given_the_documents_that_slices_are_cut_at(rows: list[list[int]]) -> None:
    positions_BT = positions_of(rows)
    time = positions_BT.shape[1]
    found = varlen.offsets(positions_BT)
    begins = [row * time + start for row, start, _stop in documents.document_slices(positions_BT)]
    assert found.tolist() == [*begins, positions_BT.numel()]
    assert found.dtype == torch.int32


def test_a_row_that_begins_inside_a_document_is_refused() -> None:
    with pytest.raises(ValueError, match="position 0"):
        varlen.offsets(torch.tensor([[0, 1, 2], [1, 2, 3]]))


def test_no_cpu_tensor_and_no_single_precision_goes_to_the_kernel() -> None:
    assert not varlen.fits(torch.zeros(1, 2, 4, 8, dtype=torch.bfloat16))
    with FakeTensorMode():
        assert not varlen.fits(torch.zeros(1, 2, 4, 8, device="cuda"))
        assert not varlen.fits(torch.zeros(1, 2, 4, 12, device="cuda", dtype=torch.bfloat16))


def test_the_operators_take_what_they_are_given_and_give_the_shapes_promised() -> None:
    """PyTorch's own description of its operators, which knows names, shapes and dtypes but no values."""
    batch, heads, time, width = 2, 3, 16, 8
    q, k, v = (torch.zeros(batch, heads, time, width, dtype=torch.bfloat16, device="meta") for _ in range(3))
    offsets_S = torch.zeros(5, dtype=torch.int32, device="meta")
    out, sums = varlen.forward(q, k, v, offsets_S, SCALE)
    assert (out.shape, out.dtype) == ((batch, time, heads, width), torch.bfloat16)
    assert (sums.shape, sums.dtype) == ((batch, heads, time), torch.float32)
    found = varlen.backward(torch.zeros_like(out), q, k, v, out, sums, offsets_S, SCALE)
    assert {(part.shape, part.dtype, part.is_contiguous()) for part in found} == {
        (q.shape, torch.bfloat16, True)
    }


@pytest.fixture
def exact() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.usefixtures("exact")
def test_on_a_gpu_one_kernel_gives_what_slices_give_and_leaks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    positions_BT = positions_of([[70, 1, 57], [128]]).cuda()
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(2, 4, 128, 64, generator=generator).to("cuda", torch.bfloat16) for _ in range(3)]
    parts = [value.requires_grad_() for value in values]
    outer = torch.randn(2, 128, 4, 64, generator=generator).to("cuda", torch.bfloat16)

    def attended() -> list[torch.Tensor]:
        out, _sums = documents.document_attention(*parts, positions_BT, SCALE)
        return [out, *torch.autograd.grad(out, parts, outer)]

    kernel = attended()
    assert varlen.fits(parts[0])
    assert all(torch.equal(one, two) for one, two in zip(kernel, attended(), strict=True))
    with monkeypatch.context() as patch:
        patch.setattr(varlen, "fits", lambda _q: False)
        for one, two in zip(kernel, attended(), strict=True):
            torch.testing.assert_close(one, two, rtol=2e-2, atol=2e-2)
    with torch.no_grad():
        for part in parts:
            part[0, :, :70] += 1.0
    assert torch.equal(kernel[0][0, 70:], attended()[0][0, 70:])
