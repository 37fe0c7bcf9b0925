"""How long work reports how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def __call__(self, done: int, total: int | None, what: str) -> None:
        """*done* of *total* (None: unknown) units of the work named *what*."""
