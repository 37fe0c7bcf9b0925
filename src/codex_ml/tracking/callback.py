"""A callback as a sink: ``tracking.sinks=[ndjson,callback:NAME]`` calls it with each metric record.

It lives on a thread of its own behind a bounded queue like every sink that is not the run's own file, so it
sees records soon after training wrote them, and nothing that it does can change or stop the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from codex_ml.interfaces.tracker import Status
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.context import TrackerContext


class CallbackTracker:
    """Calls a function with every record."""

    def __init__(self, function: Callable[[MetricRecord], object], context: TrackerContext) -> None:
        del context
        self._function = function

    def write(self, records: Sequence[MetricRecord]) -> None:
        """In the order of the calls; the start of a run is no measurement and is left out."""
        for record in records:
            if record.facts is None:
                self._function(record)

    def sync(self) -> None:
        """There is nothing to keep."""

    def close(self, status: Status, artifacts: Sequence[Path]) -> None:
        """There is nothing to release."""
