"""Attention inside the documents of a packed row: no position sees another document.

One operator, opaque to the compiler: shapes of a row are fixed, the documents in it are not. Each
document is a slice of its own, so its result does not depend on what lies beside it, bit for bit; on a GPU in
half precision all go to one kernel (`varlen`), which keeps them apart the same way.
A mask over the whole row would cost the square of its length (1.7 x causal attention at 2,048).

Shapes: B batch, H query heads, K key/value heads, T time, E head width, N tokens of one document.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codex_ml.errors import TrainingError
from codex_ml.modeling import varlen

#: The name under which transformers finds it.
ATTENTION = "codex_documents"

Three = tuple[Tensor, Tensor, Tensor]
#: What some attentions add to the scores: sinks and biases.
_UNKNOWN = ("s_aux", "sinks", "position_bias")


def document_slices(positions_BT: Tensor) -> Iterator[tuple[int, int, int]]:
    """(row, start, stop) of every document: one begins wherever the position is 0.

    Raises ValueError for a row that begins in the middle of a document.
    """
    width = positions_BT.shape[1]
    if bool((positions_BT[:, 0] != 0).any()):
        raise ValueError("a row must begin with position 0")
    begins = [(int(row), int(column)) for row, column in (positions_BT == 0).nonzero().tolist()]
    for index, (row, start) in enumerate(begins):
        following = begins[index + 1] if index + 1 < len(begins) else (row + 1, 0)
        yield row, start, following[1] if following[0] == row else width


@torch.library.custom_op("codex_ml::document_attention", mutates_args=())
def document_attention(
    q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, positions_BT: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Causal attention within each document of each row.

    *positions_BT* restarts at 0 with each document. Returns the result (B x T x H x E) and the
    logarithms of the softmax sums (B x H x T), which the backward pass needs.
    """
    if varlen.fits(q_BHTE):
        return varlen.forward(q_BHTE, k_BHTE, v_BHTE, varlen.offsets(positions_BT), scale)
    batch, heads, time, width = q_BHTE.shape
    out_BTHE = q_BHTE.new_empty(batch, time, heads, width)
    sums_BHT = q_BHTE.new_empty(batch, heads, time, dtype=torch.float32)
    for row, start, stop in document_slices(positions_BT):
        q, k, v = (part[row : row + 1, :, start:stop] for part in (q_BHTE, k_BHTE, v_BHTE))
        out, sums = _forward(q, k, v, scale)
        out_BTHE[row, start:stop] = out[0].transpose(0, 1)
        sums_BHT[row, :, start:stop] = sums[0]
    return out_BTHE, sums_BHT


def _has_kernel(part: Tensor) -> bool:
    """Whether PyTorch's kernel and its backward can be called by themselves."""
    return part.device.type == "cpu"


def _forward(q_1HNE: Tensor, k_1HNE: Tensor, v_1HNE: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    if _has_kernel(q_1HNE):
        found: tuple[Tensor, Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q_1HNE, k_1HNE, v_1HNE, 0.0, True, scale=scale
        )
        return found
    out = F.scaled_dot_product_attention(q_1HNE, k_1HNE, v_1HNE, is_causal=True, scale=scale)
    return out, q_1HNE.new_zeros(q_1HNE.shape[:3], dtype=torch.float32)


@document_attention.register_fake
def _(q_BHTE: Tensor, *_rest: Any) -> tuple[Tensor, Tensor]:
    batch, heads, time, width = q_BHTE.shape
    return (
        q_BHTE.new_empty(batch, time, heads, width),
        q_BHTE.new_empty(batch, heads, time, dtype=torch.float32),
    )


@torch.library.custom_op("codex_ml::document_attention_backward", mutates_args=())
def document_attention_backward(
    grad_BTHE: Tensor,
    q_BHTE: Tensor,
    k_BHTE: Tensor,
    v_BHTE: Tensor,
    out_BTHE: Tensor,
    sums_BHT: Tensor,
    positions_BT: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of queries, keys and values, each B x H x T x E."""
    if varlen.fits(q_BHTE):
        parts = (grad_BTHE, q_BHTE, k_BHTE, v_BHTE, out_BTHE, sums_BHT)
        return varlen.backward(*parts, varlen.offsets(positions_BT), scale)
    results = (_empty_like(q_BHTE), _empty_like(k_BHTE), _empty_like(v_BHTE))
    for row, start, stop in document_slices(positions_BT):
        q, k, v = (part[row : row + 1, :, start:stop] for part in (q_BHTE, k_BHTE, v_BHTE))
        grad, out = (part[row : row + 1, start:stop].transpose(1, 2) for part in (grad_BTHE, out_BTHE))
        found = _backward(grad, q, k, v, out, sums_BHT[row : row + 1, :, start:stop], scale)
        for result, value in zip(results, found, strict=True):
            result[row, :, start:stop] = value[0]
    return results


def _backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, sums: Tensor, scale: float
) -> tuple[Tensor, ...]:
    if _has_kernel(q):
        found: tuple[Tensor, ...] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, q, k, v, out, sums, 0.0, True, scale=scale
        )
        return found
    with _autograd_inside_an_operator():
        q, k, v = (part.detach().requires_grad_() for part in (q, k, v))
        again = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
        return torch.autograd.grad(again, (q, k, v), grad)


@contextlib.contextmanager
def _autograd_inside_an_operator() -> Iterator[None]:
    """An operator runs below autograd; here it is wanted once more, for one forward pass."""
    key = torch._C.DispatchKey.AutogradFunctionality
    before = torch._C._dispatch_tls_is_dispatch_key_excluded(key)
    torch._C._dispatch_tls_set_dispatch_key_excluded(key, False)
    try:
        with torch.enable_grad():
            yield
    finally:
        torch._C._dispatch_tls_set_dispatch_key_excluded(key, before)


@document_attention_backward.register_fake
def _(_grad: Tensor, q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, *_rest: Any) -> Three:
    return _empty_like(q_BHTE), _empty_like(k_BHTE), _empty_like(v_BHTE)


def _empty_like(part: Tensor) -> Tensor:
    return torch.empty_like(part, memory_format=torch.contiguous_format)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q_BHTE, k_BHTE, v_BHTE, positions_BT, scale = inputs
    ctx.save_for_backward(q_BHTE, k_BHTE, v_BHTE, *output, positions_BT)
    ctx.scale = scale


def _differentiate(ctx: Any, grad_BTHE: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    q_BHTE, k_BHTE, v_BHTE, out_BTHE, sums_BHT, positions_BT = ctx.saved_tensors
    found = document_attention_backward(
        grad_BTHE.contiguous(), q_BHTE, k_BHTE, v_BHTE, out_BTHE, sums_BHT, positions_BT, ctx.scale
    )
    return (*found, None, None)


document_attention.register_autograd(_differentiate, setup_context=_remember)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    document_positions: Tensor | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    **more: Any,
) -> tuple[Tensor, None]:
    """What transformers calls for each layer; by documents in training, plain and causal elsewhere.

    Raises TrainingError for a model whose attention has more to it than that.
    """
    window = sliding_window is not None and query.shape[2] > sliding_window
    odd = {name: more[name] for name in _UNKNOWN if more.get(name) is not None}
    if softcap is not None or window or dropout or odd:
        raise TrainingError(
            "this model's attention is more than causal, which training by documents does not know",
            code="train.attention",
            got=", ".join([f"window {sliding_window}, cap {softcap}, dropout {dropout}", *odd]),
            next_step=_advice(module, window=window, dropout=dropout),
        )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if document_positions is not None:
        # Rotary positions widen queries and keys where weights are wider than products.
        query, key = query.to(value.dtype), key.to(value.dtype)
        out_BTHE, _sums = document_attention(query, key, value, document_positions, scaling)
        return out_BTHE, None
    causal = attention_mask is None and query.shape[2] > 1
    mask = attention_mask if causal is False else None
    out_BHTE = F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal, scale=scaling
    )
    return out_BHTE.transpose(1, 2), None


def _advice(module: Any, *, window: bool, dropout: float) -> str:
    """What to change, by the name that this model's config has for it."""
    if window:
        return "keep model.context within the window"
    if not dropout:
        return "give another model"
    config = getattr(module, "config", None)
    settings = {} if config is None else vars(config)
    names = [
        name
        for name, value in settings.items()
        if "drop" in name and "att" in name and isinstance(value, int | float) and value == dropout
    ]
    return f"set {' or '.join(names) or 'the dropout of attention'} to 0 in the config.json of the model"


def register() -> str:
    """Make the attention known to transformers; its name."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    def mask(**options: Any) -> Any:
        """None where causal order says it all, which documents keep by themselves."""
        whole = options["q_length"] in (1, options["kv_length"])
        return None if options["attention_mask"] is None and whole else sdpa_mask(**options)

    AttentionInterface.register(ATTENTION, attend)
    AttentionMaskInterface.register(ATTENTION, mask)
    return ATTENTION
