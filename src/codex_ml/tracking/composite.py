"""Several sinks as one. The NDJSON file is the truth; any other sink may fail, once, visibly."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from codex_ml.errors import CodexError
from codex_ml.interfaces.tracker import Tracker
from codex_ml.metrics import MetricRecord
from codex_ml.registry import registry_for

log = logging.getLogger(__name__)
_TRUTH = "ndjson"


class CompositeTracker:
    """Fans records out to the sinks of a run.

    A sink other than ``ndjson`` that raises OSError or CodexError is reported once and left out
    from then on; ``failed`` names it and why.
    """

    def __init__(self, sinks: Mapping[str, Tracker], *, run_id: str) -> None:
        self._sinks = dict(sinks)
        self._run_id = run_id
        self.failed: dict[str, str] = {}

    def log(
        self, values: Mapping[str, float], *, step: int, split: str, phase: str, dataset: str | None = None
    ) -> None:
        """Record several metrics of one step."""
        now = time.time()
        self.write(
            [
                MetricRecord(self._run_id, step, split, phase, name, float(value), now, dataset)
                for name, value in values.items()
            ]
        )

    def write(self, records: Sequence[MetricRecord]) -> None:
        """Hand records to every sink that still works."""

        def hand_over(sink: Tracker) -> None:
            for record in records:
                sink.write(record)

        for name in list(self._sinks):
            self._attempt(name, hand_over)

    def sync(self) -> None:
        """Flush every sink, before a checkpoint that counts on its records."""
        for name in list(self._sinks):
            self._attempt(name, lambda sink: sink.sync())

    def close(self) -> None:
        """Close every sink, also after one of them fails; the truth's own failure is raised last."""
        failure: Exception | None = None
        for name in list(self._sinks):
            try:
                self._attempt(name, lambda sink: sink.close())
            except (OSError, CodexError) as error:
                failure = error
        if failure is not None:
            raise failure

    def _attempt(self, name: str, act: Callable[[Tracker], None]) -> None:
        """Let one sink act; its failure leaves it out, that of the truth is raised."""
        try:
            act(self._sinks[name])
        except (OSError, CodexError) as error:
            if name == _TRUTH:
                raise
            log.warning("the tracker '%s' failed and is left out: %s", name, error)
            self.failed[name] = str(error)
            del self._sinks[name]


def open_trackers(
    names: Sequence[str], *, run_directory: Path, run_id: str, resume_step: int, again: str | None = None
) -> CompositeTracker:
    """Open the run's sinks; ``ndjson`` is always among them.

    Records beyond *resume_step* are dropped, and those at it whose split and phase
    are *again* ("validation/train").

    Raises NotFoundError for an unknown name, StorageError when the truth cannot be written.
    """
    factories = {name: registry_for("trackers").get(name) for name in dict.fromkeys((_TRUTH, *names))}
    sinks = {
        name: make(run_directory, resume_step=resume_step, again=again) for name, make in factories.items()
    }
    return CompositeTracker(sinks, run_id=run_id)
