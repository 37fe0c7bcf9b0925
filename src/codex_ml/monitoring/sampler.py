"""A thread that samples the machine while a run trains, into ``system.ndjson`` and to the trackers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from codex_ml.core.ndjson import NdjsonAppender
from codex_ml.monitoring.readings import Readings

log = logging.getLogger(__name__)
FILE = "system.ndjson"
#: Seconds before the first sample, when rates and percentages mean something; and for the last one.
_FIRST, _LAST = 0.5, 2.0
Send = Callable[[Mapping[str, float], int], None]


class Sampler:
    """Writes a row every *every* seconds: run, time, step, and one value for each reading.

    Whatever goes wrong here costs readings, never the run: a file that cannot be written is told once.
    """

    def __init__(
        self,
        path: Path,
        *,
        run_id: str,
        every: float,
        readings: Readings,
        step: Callable[[], int],
        send: Send,
    ) -> None:
        self._path, self._run_id, self._every = path, run_id, every
        self._readings, self._step, self._send = readings, step, send
        self._file: NdjsonAppender | None = None
        self._stop, self._over = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take a last sample and end; a driver that hangs is left behind, and writes nothing any more."""
        self._stop.set()
        self._thread.join(_LAST)
        if self._thread.is_alive():
            self._over = True
            log.warning("the machine's sensors do not answer; the last sample is missing")

    def _run(self) -> None:
        try:
            self._watch()
        except Exception as error:  # noqa: BLE001 - drivers and trackers fail in many ways, and the run goes on
            log.warning("the machine is not watched any more: %s: %s", type(error).__name__, error)
        finally:
            self._readings.close()
            self._shut()

    def _watch(self) -> None:
        try:
            self._file = NdjsonAppender(self._path)
        except OSError as error:
            self._tell(error)
        self._readings.read()  # where rates begin
        pause = min(_FIRST, self._every)
        while not self._stop.wait(pause):
            self._sample()
            pause = self._every
        self._sample()

    def _sample(self) -> None:
        values, step = self._readings.read(), self._step()
        if self._over:
            return
        if self._file is not None:
            try:
                self._file.write({"run_id": self._run_id, "ts": time.time(), "step": step, **values})
            except OSError as error:
                self._tell(error)
        self._send(values, step)

    def _tell(self, error: OSError) -> None:
        log.warning("%s is not written any more; the run goes on: %s", self._path, error)
        self._shut()

    def _shut(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what it still holds cannot be written either
                self._file.close()
        self._file = None


@contextmanager
def sampling(
    directory: Path, *, run_id: str, every: float, step: Callable[[], int], send: Send
) -> Iterator[None]:
    """Sample while the block runs; with *every* 0 do nothing."""
    if not every:
        yield
        return
    sampler = Sampler(
        directory / FILE, run_id=run_id, every=every, readings=Readings(directory), step=step, send=send
    )
    try:
        yield
    finally:
        sampler.close()
