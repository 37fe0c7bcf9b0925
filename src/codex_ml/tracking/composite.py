"""Several sinks as one. The NDJSON file is the truth; any other sink may fail, once, visibly."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codex_ml.errors import CodexError
from codex_ml.interfaces.tracker import Status, Tracker
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.mirror import Health, Mirror

log = logging.getLogger(__name__)
_TRUTH = "ndjson"


class CompositeTracker:
    """Fans records out to the sinks of a run: *files* at once, *mirrors* on threads of their own.

    A file other than the truth, ``ndjson``, that raises OSError or CodexError is reported once and left
    out from then on. `health` says how each sink fared.
    """

    def __init__(
        self,
        files: Mapping[str, Tracker],
        *,
        run_id: str,
        mirrors: Sequence[Mirror] = (),
        absent: Mapping[str, str] | None = None,
        patience: float = 0.0,
    ) -> None:
        self._files, self._mirrors = dict(files), tuple(mirrors)
        self._run_id, self._patience = run_id, patience
        self._health = {name: Health() for name in files}
        self._health |= {name: Health("absent", error=why) for name, why in (absent or {}).items()}

    def log(
        self, values: Mapping[str, float], *, step: int, split: str, phase: str, dataset: str | None = None
    ) -> None:
        """Record several metrics of one step."""
        self.write(self._records(values, step=step, split=split, phase=phase, dataset=dataset))

    def log_system(self, values: Mapping[str, float], *, step: int) -> None:
        """Hand a sample of the machine to the mirrors; the run's own file of samples is another."""
        records = self._records(values, step=step, split="system", phase="system")
        for mirror in self._mirrors:
            mirror.write(records)

    def _records(
        self, values: Mapping[str, float], *, step: int, split: str, phase: str, dataset: str | None = None
    ) -> list[MetricRecord]:
        now = time.time()
        return [
            MetricRecord(self._run_id, step, split, phase, name, float(value), now, dataset)
            for name, value in values.items()
        ]

    def write(self, records: Sequence[MetricRecord]) -> None:
        """Hand records to every sink that still works."""
        for name, health in self._health.items():
            if self._attempt(name, lambda sink: sink.write(records)):
                health.written += len(records)
            else:
                health.dropped += len(records)
        for mirror in self._mirrors:
            mirror.write(records)

    def sync(self) -> None:
        """Flush every file, before a checkpoint that counts on its records; ask the mirrors to."""
        for name in list(self._files):
            self._attempt(name, lambda sink: sink.sync())
        for mirror in self._mirrors:
            mirror.sync()

    def close(self, status: Status = "finished", artifacts: Sequence[Path] = ()) -> None:
        """Close every sink, also after one of them fails; the truth's own failure is raised last.

        The mirrors get the patience of the config, all together, and are then left behind.
        """
        for mirror in self._mirrors:
            mirror.finish(status, artifacts)
        failure: Exception | None = None
        for name in list(self._files):
            try:
                self._attempt(name, lambda sink: sink.close(status, artifacts))
            except (OSError, CodexError) as error:
                failure = error
        limit = time.monotonic() + self._patience
        for mirror in self._mirrors:
            mirror.join(limit - time.monotonic())
        if failure is not None:
            raise failure

    def health(self) -> dict[str, dict[str, Any]]:
        """State, written, dropped and error of each sink since it was opened, by name."""
        mirrors = {mirror.name: mirror.health for mirror in self._mirrors}
        return {name: health.as_dict() for name, health in (self._health | mirrors).items()}

    def _attempt(self, name: str, act: Callable[[Tracker], None]) -> bool:
        """Let one file act; its failure leaves it out, that of the truth is raised."""
        sink = self._files.get(name)
        if sink is None:
            return False
        try:
            act(sink)
        except (OSError, CodexError) as error:
            health = self._health[name]
            health.state, health.error = "failed", str(error)
            if name == _TRUTH:
                raise
            log.warning("the tracker '%s' failed and is left out; the run goes on: %s", name, error)
            del self._files[name]
            return False
        return True
