"""Keys and values of the tokens seen so far, for generation.

Shapes: B batch, K key/value heads, T new tokens, S tokens so far, E head width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from codex_ml.config.schema import ModelConfig


class KeyValueCache:
    """Preallocated keys and values of every layer; ``advance`` after each forward pass."""

    def __init__(self, cfg: ModelConfig, *, batch: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (cfg.layers, batch, cfg.kv_heads, cfg.context, cfg.dim // cfg.heads)
        self._keys = torch.zeros(shape, dtype=dtype, device=device)
        self._values = torch.zeros(shape, dtype=dtype, device=device)
        self.length = 0
        self.capacity = cfg.context

    def append(self, layer: int, k_BKTE: Tensor, v_BKTE: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Store new keys and values; return all so far and the mask for several new tokens."""
        new = k_BKTE.shape[2]
        stop = self.length + new
        self._keys[layer, :, :, self.length : stop] = k_BKTE
        self._values[layer, :, :, self.length : stop] = v_BKTE
        mask_TS = None
        if new > 1:
            rows = torch.arange(self.length, stop, device=k_BKTE.device)[:, None]
            mask_TS = torch.arange(stop, device=k_BKTE.device)[None, :] <= rows
        return self._keys[layer, :, :, :stop], self._values[layer, :, :, :stop], mask_TS

    def advance(self, tokens: int) -> None:
        """Count *tokens* as seen, once every layer has stored them."""
        self.length += tokens
