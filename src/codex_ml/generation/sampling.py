"""Pick the next token: temperature and nucleus, every draw from a counter.

Shapes: B batch, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from codex_ml.core.draws import draw_seed


def next_tokens(
    logits_BV: Tensor, *, temperature: float, top_p: float, seed: int, sample: int, position: int
) -> Tensor:
    """The next token of each row, shape B int64.

    Temperature 0 is greedy. Otherwise the smallest set of tokens whose probability reaches *top_p*
    is kept (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020). The draw of row
    b at a position depends on (seed, sample + b, position) alone, on the CPU, so neither the
    batch's other rows nor the device changes it.
    """
    if temperature == 0:
        return logits_BV.argmax(-1)
    wide_BV = logits_BV.double().cpu()
    # Shifted first: divided by a tiny temperature the largest stays 0 and none becomes infinite.
    shifted_BV = (wide_BV - wide_BV.amax(-1, keepdim=True)) / temperature
    probabilities_BV = torch.softmax(shifted_BV, dim=-1)
    ordered_BV, order_BV = probabilities_BV.sort(dim=-1, descending=True, stable=True)
    cumulative_BV = ordered_BV.cumsum(-1)
    ordered_BV = ordered_BV.masked_fill(cumulative_BV - ordered_BV >= top_p, 0.0)
    cumulative_BV = ordered_BV.cumsum(-1)
    draws_B1 = torch.tensor(
        [[draw_seed(seed, "sample", sample + row, position) / 2.0**63] for row in range(len(logits_BV))],
        dtype=torch.float64,
    )
    ranks_B1 = torch.searchsorted(
        cumulative_BV.double(), draws_B1 * cumulative_BV[:, -1:].double(), right=True
    ).clamp_max((ordered_BV > 0).sum(-1, keepdim=True) - 1)
    return order_BV.gather(1, ranks_B1)[:, 0].to(logits_BV.device)
