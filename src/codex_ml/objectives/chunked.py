"""Cross-entropy that never holds the logits of a whole batch.

The gradient of the hidden states is computed with the loss, chunk by chunk, so that a chunk's logits
live once and no longer. Source: Hsu et al., "Liger Kernel", 2024.

Shapes: N trained positions, C positions of a chunk, D model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codex_ml.core.labels import IGNORE

#: Positions whose logits are alive at once.
CHUNK = 256

#: (hidden_CD, weight_VD, bias_V, labels_C) -> (loss, grad_logits_CV): the part worth compiling
ChunkLoss = Callable[[Tensor, Tensor, Tensor | None, Tensor], tuple[Tensor, Tensor]]


def chunk_loss(
    hidden_CD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_C: Tensor
) -> tuple[Tensor, Tensor]:
    """Summed loss of a chunk in nats, float32, and its gradient by the logits, in the dtype of *hidden*."""
    bias_V = None if bias_V is None else bias_V.to(hidden_CD.dtype)
    logits_CV = F.linear(hidden_CD, weight_VD.to(hidden_CD.dtype), bias_V).float()
    log_shares_CV = torch.log_softmax(logits_CV, dim=-1)
    counted_C1 = (labels_C != IGNORE)[:, None]
    right_C1 = labels_C.clamp_min(0)[:, None]
    nll_C1 = -log_shares_CV.gather(1, right_C1) * counted_C1
    classes_1V = torch.arange(log_shares_CV.shape[1], device=labels_C.device)[None, :]
    grad_CV = (log_shares_CV.exp() - (classes_1V == right_C1).float()) * counted_C1
    return nll_C1.sum(), grad_CV.to(hidden_CD.dtype)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        labels_N: Tensor,
        one_chunk: ChunkLoss,
    ) -> Tensor:
        grad_ND = torch.empty_like(hidden_ND)
        grad_weight = torch.zeros_like(weight_VD) if ctx.needs_input_grad[1] else None
        grad_bias = torch.zeros_like(bias_V) if bias_V is not None and ctx.needs_input_grad[2] else None
        losses = []
        for start in range(0, len(hidden_ND), CHUNK):
            here = slice(start, start + CHUNK)
            loss, grad_CV = one_chunk(hidden_ND[here], weight_VD, bias_V, labels_N[here])
            losses.append(loss)
            grad_ND[here] = grad_CV @ weight_VD.to(grad_CV.dtype)
            if grad_weight is not None:
                grad_weight += (grad_CV.T @ hidden_ND[here]).to(grad_weight.dtype)
            if grad_bias is not None:
                grad_bias += grad_CV.sum(0).to(grad_bias.dtype)
        ctx.save_for_backward(grad_ND, grad_weight, grad_bias)
        return torch.stack(losses).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        (outer,) = grads
        hidden, weight, bias = (
            None if part is None else (part * outer).to(part.dtype) for part in ctx.saved_tensors
        )
        return hidden, weight, bias, None, None


def chunked_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    labels_N: Tensor,
    *,
    one_chunk: ChunkLoss = chunk_loss,
) -> Tensor:
    """`lm_loss` of the logits ``hidden @ weight.T + bias``: the summed loss in nats, a float32 scalar.

    N is filled up to whole chunks with ignored positions, so that every chunk has one shape.
    """
    missing = -len(labels_N) % CHUNK
    hidden_ND = F.pad(hidden_ND, (0, 0, 0, missing))
    labels_N = F.pad(labels_N, (0, missing), value=IGNORE)
    loss: Tensor = _Chunked.apply(hidden_ND, weight_VD, bias_V, labels_N, one_chunk)  # type: ignore[no-untyped-call]
    return loss
