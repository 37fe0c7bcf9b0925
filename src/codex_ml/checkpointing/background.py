"""One piece of work beside the training loop, whose failure is not lost."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: How far behind training the work stands in the queue for a core (nice(2)).
_NICENESS = 15


class Background(Generic[T]):
    """Runs at most one function at a time in a thread of its own."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._result: T | None = None
        self._failure: BaseException | None = None

    def start(self, work: Callable[[], T]) -> None:
        """Start *work*, after the work before it has ended. Raises that work's failure."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(work,), name="checkpoint")
        self._thread.start()

    def _run(self, work: Callable[[], T]) -> None:
        try:
            _step_back()
            self._result = work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            self._failure = error

    def poll(self) -> None:
        """Raise the failure of work that has ended, if it failed."""
        if self._thread is not None and not self._thread.is_alive():
            self.wait()

    def wait(self) -> T | None:
        """Wait for the work in flight; the last result. Raises the work's failure, once."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return self._result


def _step_back() -> None:
    """Leave the cores to training: on Linux each thread has a niceness of its own.

    With as many threads as cores, every moment that hashing takes stops the whole step; a save that
    waits for idle moments costs a third (docs/performance.md). Who waits for it leaves it the cores.
    """
    if sys.platform == "linux":
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, own)))
