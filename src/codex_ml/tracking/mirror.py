"""A tracker on a thread of its own: whatever it does, the run neither waits for it nor fails by it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from codex_ml.core.redact import redact_text
from codex_ml.interfaces.tracker import Status, Tracker
from codex_ml.metrics import MetricRecord

log = logging.getLogger(__name__)
#: Seconds for which records are gathered: a tracker works in batches, and rarely.
GATHER = 0.5
#: The most records of a batch.
BATCH = 1000

State = Literal["ok", "absent", "failed", "left behind"]


@dataclass
class Health:
    """How a tracker fared. *written* were handed to it without an error, *dropped* never reached it."""

    state: State = "ok"
    written: int = 0
    dropped: int = 0
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Mirror:
    """A bounded queue before one tracker, and the daemon thread that makes, feeds and closes it.

    The calling thread only appends. The first trouble is logged in one line; what cannot be handed over
    from then on is counted.
    """

    def __init__(self, name: str, make: Callable[[], Tracker], *, limit: int) -> None:
        self.name, self.health = name, Health()
        self._make, self._limit = make, limit
        self._queue: deque[MetricRecord] = deque()
        self._change = threading.Condition()
        self._end: tuple[Status, tuple[Path, ...]] | None = None
        self._sync = self._told = self._over = False
        self._flying = 0
        self._tracker: Tracker | None = None
        self._thread = threading.Thread(target=self._run, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def write(self, records: Sequence[MetricRecord]) -> None:
        """Append records; those for which there is no room, or no tracker any more, are dropped."""
        with self._change:
            room = 0 if self._over else max(0, self._limit - len(self._queue))
            was_empty = not self._queue
            self._queue.extend(records[:room])
            lost = len(records) - room
            if lost > 0:
                self.health.dropped += lost
            if was_empty or len(self._queue) >= self._limit // 2:
                self._change.notify()
        if lost > 0 and not self._over:
            self._tell("is too slow: records that find its queue full are dropped")

    def sync(self) -> None:
        """Ask for a flush; nobody waits for it."""
        with self._change:
            self._sync = True
            self._change.notify()

    def finish(self, status: Status, artifacts: Sequence[Path] = ()) -> None:
        """Ask for the end, after what waits; see `join`."""
        with self._change:
            self._end = status, tuple(artifacts)
            self._change.notify()

    def join(self, seconds: float) -> None:
        """Wait for the end that `finish` asked for; then leave the thread behind."""
        self._thread.join(max(0.0, seconds))
        if not self._thread.is_alive():
            return
        with self._change:
            self._over = True
            self._drop_waiting()
            self.health.state = "left behind"
            self.health.error = self.health.error or "it did not end in time"
        self._abandon()
        self._tell("did not end in time (tracking.patience) and is left behind")

    def _run(self) -> None:
        try:
            tracker = self._tracker = self._make()
            while (batch := self._next()) is not None:
                if batch:
                    tracker.write(batch)
                    self._landed()
                if self._take_sync():
                    tracker.sync()
            if self._end is not None and not self._over:
                tracker.close(*self._end)
        except BaseException as error:  # noqa: BLE001 - a tracker may fail in any way, and only it may suffer
            self._fail(error)

    def _next(self) -> list[MetricRecord] | None:
        """The next batch, empty when only a flush is asked for; None at the end."""
        with self._change:
            while not self._queue and self._end is None and not self._sync:
                self._change.wait()
            if len(self._queue) < BATCH:  # no more is left of a batch before
                limit = time.monotonic() + GATHER
                while not self._pressed() and (left := limit - time.monotonic()) > 0:
                    self._change.wait(left)
            if not self._queue and self._end is not None:
                return None
            self._flying = min(BATCH, len(self._queue))
            return [self._queue.popleft() for _ in range(self._flying)]

    def _landed(self) -> None:
        with self._change:
            self.health.written += self._flying
            self._flying = 0

    def _pressed(self) -> bool:
        return self._end is not None or len(self._queue) >= self._limit // 2

    def _take_sync(self) -> bool:
        with self._change:
            asked = self._sync and not self._queue
            self._sync = self._sync and not asked
            return asked

    def _fail(self, error: BaseException) -> None:
        text = redact_text(" ".join(f"{type(error).__name__}: {error}".split()))[:500]
        with self._change:
            self._over = True
            self._drop_waiting()
            if self.health.state == "ok":
                self.health.state, self.health.error = "failed", text
        self._abandon()
        self._tell(f"failed and is left out: {text}")

    def _drop_waiting(self) -> None:
        self.health.dropped += len(self._queue) + self._flying
        self._queue.clear()
        self._flying = 0

    def _abandon(self) -> None:
        """Let the tracker drop what could keep the process from ending."""
        abandon = getattr(self._tracker, "abandon", None)
        if abandon is None:
            return
        try:
            abandon()
        except Exception as error:  # noqa: BLE001 - it has failed already, and may fail at this too
            log.debug("the tracker '%s' cannot be given up: %s", self.name, redact_text(str(error)))

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            log.warning("the tracker '%s' %s; the run goes on", self.name, what)
