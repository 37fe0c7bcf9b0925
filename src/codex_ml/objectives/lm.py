"""Next-token cross-entropy, summed over tokens.

Shapes: B batch, T time, V vocabulary.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from codex_ml.core.labels import IGNORE


def lm_loss(logits_BTV: Tensor, labels_BT: Tensor) -> Tensor:
    """Sum of the negative log-likelihoods in nats, a float32 scalar.

    A sum and not a mean: it keeps the gradient independent of the split into micro-batches; the
    step divides once by its number of tokens.
    """
    return F.cross_entropy(
        logits_BTV.flatten(0, 1).float(), labels_BT.flatten(), ignore_index=IGNORE, reduction="sum"
    )
