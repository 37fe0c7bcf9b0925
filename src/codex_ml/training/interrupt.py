"""Signals as flags, looked at between micro-batches; nothing is saved inside a handler."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Signals:
    """What was asked of the run from outside: to stop, or to save and go on."""

    def __init__(self) -> None:
        self.stop: str | None = None
        self.save = False
        self._interrupts = 0

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Remember the first request to stop; a second SIGINT leaves at once."""
        if number == signal.SIGUSR1:
            self.save = True
            return
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            os.write(2, b"error: interrupted twice; what was saved before is untouched [interrupted]\n")
            os._exit(75)
        self.stop = self.stop or signal.Signals(number).name


@contextmanager
def received() -> Iterator[Signals]:
    """Install the handlers for the block and put the old ones back."""
    signals = Signals()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    previous = {number: signal.signal(number, signals.receive) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
