"""One kernel for all documents of a micro-batch: flash attention over sequences of many lengths (CUDA).

The rows of a batch are laid end to end; documents are given by where each begins. Every document is a
sequence of its own to the kernel, so it meets neither its neighbours nor their padding. The backward pass
is deterministic where PyTorch is told to be (``torch.use_deterministic_algorithms``).

Source: FlashAttention-2 (Dao 2023), as in ``torch.nn.attention.varlen``, which calls the same operators.

Shapes: B batch, H heads, T time, E head width, M = B x T, S documents.
"""

from __future__ import annotations

import torch
from torch import Tensor

Three = tuple[Tensor, Tensor, Tensor]
#: What the kernel was built for: compute capability 8.0, half precision, widths of a multiple of 8 up to 256.
_CAPABILITY, _WIDTH_STEP, _WIDEST = (8, 0), 8, 256


def fits(q_BHTE: Tensor) -> bool:
    """Whether the kernel takes these queries; documents go one at a time elsewhere (fp32 among them)."""
    return (
        q_BHTE.is_cuda
        and q_BHTE.dtype in (torch.bfloat16, torch.float16)
        and q_BHTE.shape[-1] % _WIDTH_STEP == 0
        and q_BHTE.shape[-1] <= _WIDEST
        and torch.cuda.get_device_capability(q_BHTE.device) >= _CAPABILITY
    )


def offsets(positions_BT: Tensor) -> Tensor:
    """Where each document begins in the rows laid end to end, and their total (int32, S + 1).

    Raises ValueError for a row that begins in the middle of a document. Waits for the device: how many
    documents there are is not known before.
    """
    starts_S = (positions_BT.flatten() == 0).nonzero().flatten()
    rows = positions_BT.shape[0]
    if not torch.isin(torch.arange(rows, device=starts_S.device) * positions_BT.shape[1], starts_S).all():
        raise ValueError("a row must begin with position 0")
    total = starts_S.new_full((1,), positions_BT.numel())
    return torch.cat([starts_S, total]).to(torch.int32)


def forward(
    q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, offsets_S: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """The result (B x T x H x E) and the logarithms of the softmax sums (B x H x T)."""
    batch, heads, time, width = q_BHTE.shape
    q, k, v = (_flat(part.transpose(1, 2)) for part in (q_BHTE, k_BHTE, v_BHTE))
    # No document is longer than a row; the kernel only sizes its grid by it.
    found = torch.ops.aten._flash_attention_forward(
        q, k, v, offsets_S, offsets_S, time, time, 0.0, True, False, scale=scale
    )
    sums_BHT = found[1].view(heads, batch, time).transpose(0, 1).contiguous()
    return found[0].view(batch, time, heads, width), sums_BHT


def backward(
    grad_BTHE: Tensor,
    q_BHTE: Tensor,
    k_BHTE: Tensor,
    v_BHTE: Tensor,
    out_BTHE: Tensor,
    sums_BHT: Tensor,
    offsets_S: Tensor,
    scale: float,
) -> Three:
    """Gradients of queries, keys and values, each B x H x T x E."""
    batch, heads, time, width = q_BHTE.shape
    q, k, v = (_flat(part.transpose(1, 2)) for part in (q_BHTE, k_BHTE, v_BHTE))
    sums_HM = sums_BHT.transpose(0, 1).reshape(heads, batch * time)
    # No dropout, so no random state; the operator wants the places of one.
    state, unused = (q.new_empty(size, dtype=torch.uint64) for size in (2, 0))
    given = (_flat(grad_BTHE), q, k, v, _flat(out_BTHE), sums_HM, offsets_S, offsets_S, time, time, 0.0, True)
    found = torch.ops.aten._flash_attention_backward(*given, state, unused, scale=scale)
    dq, dk, dv = (part.view(batch, time, heads, width).transpose(1, 2).contiguous() for part in found)
    return dq, dk, dv


def _flat(part_BTHE: Tensor) -> Tensor:
    """M x H x E, contiguous, which the kernel wants."""
    return part_BTHE.reshape(-1, *part_BTHE.shape[2:]).contiguous()
