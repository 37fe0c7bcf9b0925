"""A reward model: short completions are better. There is nothing in it to learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CODEX_ML_CONTRACT = {"reward_models": 1}


class BrevityReward:
    """Minus the number of characters beyond *free*, divided by *scale*."""

    def __init__(self, free: int = 20, scale: float = 100.0) -> None:
        if scale <= 0:
            raise ValueError(f"scale must be above 0, got {scale}")
        self._free, self._scale = free, scale

    def evaluate(self, prompt: str, completion: str, metadata: Mapping[str, Any] | None = None) -> float:
        del prompt, metadata
        return -max(0, len(completion) - self._free) / self._scale

    def batch_evaluate(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [self.evaluate(prompt, completion) for prompt, completion in pairs]

    def learn(self, comparisons: Sequence[tuple[str, str, str]]) -> dict[str, float]:
        """How often the shorter one was the better one; a fixed rule learns nothing from it."""
        agreed = [
            self.evaluate(prompt, one) >= self.evaluate(prompt, two) for prompt, one, two in comparisons
        ]
        return {"agreement": sum(agreed) / len(agreed)} if agreed else {}
