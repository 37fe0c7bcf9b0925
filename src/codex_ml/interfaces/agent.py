"""What an agent of reinforcement learning must offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class RLAgent(Protocol):
    """Chooses completions and learns from the rewards that they got."""

    def act(self, prompt: str, *, seed: int) -> str:
        """A completion; the same prompt, seed and state give the same one."""
        ...

    def update(self, trajectories: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Learn from rows of ``prompt``, ``completion`` and ``reward``; metrics of the update."""
        ...

    def save(self, directory: Path) -> None:
        """Write the whole state."""
        ...

    def load(self, directory: Path) -> None:
        """Restore what `save` wrote; acts afterwards are those of the saved agent."""
        ...
