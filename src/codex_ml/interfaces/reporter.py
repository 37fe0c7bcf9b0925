"""How long work talks to the person who waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class TrainLine:
    """One progress line of training."""

    step: int
    steps: int
    loss: float
    lr: float
    tokens_per_second: float
    eta_seconds: float
    at_risk_seconds: float


class Reporter(Protocol):
    """Implemented by the command line (rich or plain), and by silence in tests."""

    def say(self, text: str) -> None:
        """One sentence."""
        ...

    def train(self, line: TrainLine) -> None:
        """Training went on."""
        ...

    def progress(self, done: int, total: int | None, what: str) -> None:
        """*done* of *total* (None: unknown) units of the work named *what*."""
        ...


class Silent:
    """A reporter that says nothing."""

    def say(self, text: str) -> None: ...

    def train(self, line: TrainLine) -> None: ...

    def progress(self, done: int, total: int | None, what: str) -> None: ...
