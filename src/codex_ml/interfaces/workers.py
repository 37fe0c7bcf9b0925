"""What several processes that work on one thing can do together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Workers(Protocol):
    """One process of a group of *size*."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def gather(self, values: Sequence[float]) -> list[float]:
        """Equally long lists of all workers, in the order of ranks."""
        ...
