"""Metric records to hand to trackers, and trackers that remember or misbehave."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codex_ml.metrics import MetricRecord

#: Put together here, so that no file of the project holds what looks like a password in a URI.
HIDDEN = "hunter2" + "-Zq8"
LOGIN = f"me:{HIDDEN}"


def record(step: int, value: float = 1.0, metric: str = "loss", **more: Any) -> MetricRecord:
    made = MetricRecord("run", step, "train", "train", metric, value, 1.7e9 + step)
    return dataclasses.replace(made, **more)


class Remembering:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.records: list[MetricRecord] = []
        self.batches: list[int] = []
        self.synced = 0
        self.closed: list[tuple[str, tuple[Path, ...]]] = []
        self.threads: set[str] = set()

    def write(self, records: Sequence[MetricRecord]) -> None:
        self.threads.add(threading.current_thread().name)
        self.records += records
        self.batches.append(len(records))

    def sync(self) -> None:
        self.synced += 1

    def close(self, status: str, artifacts: Sequence[Path]) -> None:
        self.closed.append((status, tuple(artifacts)))


class Hostile(Remembering):
    """A sink that fails, hangs or dies at one of its calls."""

    def __init__(self, at: str, error: BaseException | None = None, seconds: float = 0.0) -> None:
        super().__init__()
        self._at, self._error, self._seconds = at, error, seconds
        self.reached = threading.Event()
        self._strike("make")

    def _strike(self, at: str) -> None:
        if at != self._at:
            return
        self.reached.set()
        time.sleep(self._seconds)
        if self._error is not None:
            raise self._error

    def write(self, records: Sequence[MetricRecord]) -> None:
        self._strike("write")
        super().write(records)

    def sync(self) -> None:
        self._strike("sync")
        super().sync()

    def close(self, status: str, artifacts: Sequence[Path]) -> None:
        self._strike("close")
        super().close(status, artifacts)
