"""What a tracker does with metric records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from codex_ml.metrics import MetricRecord


class Tracker(Protocol):
    """A sink of metric records, built as ``factory(run_directory, resume_step=N)``."""

    def write(self, record: MetricRecord) -> None:
        """Record one value, in the order of the calls."""
        ...

    def close(self) -> None:
        """Flush and release; called once, also after a failure."""
        ...
