"""What a reward model must offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class RewardModel(Protocol):
    """Says how good a completion is; greater is better."""

    def evaluate(self, prompt: str, completion: str, metadata: Mapping[str, Any] | None = None) -> float:
        """A finite reward, the same for the same arguments until `learn` is called."""
        ...

    def batch_evaluate(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The rewards of (prompt, completion) pairs, in their order; equal to `evaluate` of each."""
        ...

    def learn(self, comparisons: Sequence[tuple[str, str, str]]) -> dict[str, float]:
        """Learn from (prompt, better, worse) completions; metrics, none where nothing is learnt."""
        ...
