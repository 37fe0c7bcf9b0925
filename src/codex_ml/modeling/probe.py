"""Proof that an adapter does something, and that a merge or an export does the same.

Shapes: B rows, T time, V vocabulary.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from codex_ml.core.digest import digest_bytes
from codex_ml.core.draws import draw_seed
from codex_ml.errors import IntegrityError, TrainingError

#: Largest sane `compare` after weights were rounded to a dtype, both sides computed in float32.
#: Measured on SmolLM2-135M with adapters that move logits by 0.01 to 1 of the largest: a merge in
#: float32 drifts by 2e-6 to 6e-6, rounding it to bfloat16 by 8e-3 to 1.4e-2 (4e-2 for the largest).
#: Computed in bfloat16 the same two models differ by 3e-2 to 9e-2, and each from float32 by as much:
#: that is noise of the arithmetic, so a proof computes in float32.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 3e-2}


def probe_batch(vocab_size: int, *, rows: int = 2, length: int = 32) -> Tensor:
    """Token ids B x T that depend on the arguments alone."""
    generator = torch.Generator().manual_seed(draw_seed(0, "probe.batch", vocab_size, rows, length))
    return torch.randint(0, vocab_size, (rows, length), generator=generator)


@torch.no_grad()
def probe_logits(model: nn.Module, tokens_BT: Tensor | None = None) -> Tensor:
    """Logits B x T x V of the probe batch, float32 on the CPU, with dropout off; the mode is put back."""
    net = cast("Any", model)
    if tokens_BT is None:
        tokens_BT = probe_batch(int(net.config.get_text_config().vocab_size))
    was_training = model.training
    model.eval()
    try:
        device = next(model.parameters()).device
        logits: Tensor = net(input_ids=tokens_BT.to(device), use_cache=False).logits
    finally:
        model.train(was_training)
    return logits.float().cpu()


def logit_digest(logits_BTV: Tensor) -> str:
    """sha256 of the float32 bytes."""
    raw = logits_BTV.detach().float().cpu().contiguous()
    return digest_bytes(raw.view(torch.uint8).numpy().tobytes())


def compare(one_BTV: Tensor, two_BTV: Tensor) -> float:
    """The largest difference, in units of the largest logit of the first."""
    scale = float(one_BTV.abs().max())
    apart = float((one_BTV - two_BTV).abs().max())
    return apart / scale if scale else apart


def require_effect(base_BTV: Tensor, adapted_BTV: Tensor) -> float:
    """How far the adapter moves the logits. Raises TrainingError when it moves no bit."""
    if torch.equal(base_BTV, adapted_BTV):
        raise TrainingError(
            "the adapter has no effect: its logits equal the base model's bit for bit",
            code="model.no-op",
            got=f"logits {logit_digest(adapted_BTV)[:12]} with and without it",
            next_step="check that it was trained, and on these target modules",
        )
    return compare(base_BTV, adapted_BTV)


def require_same(adapted_BTV: Tensor, merged_BTV: Tensor, *, allowed: float) -> float:
    """How far two computations of one function differ. Raises IntegrityError beyond *allowed*."""
    drift = compare(adapted_BTV, merged_BTV)
    if not drift <= allowed:  # NaN is beyond, too
        raise IntegrityError(
            "the written model computes something else than the model it was made from",
            code="model.merge-drift",
            got=f"logits {drift:.3g} apart, relative to the largest",
            wanted=f"at most {allowed:g}",
            next_step="merge in float32 (--dtype float32), or keep the adapter apart",
        )
    return drift
