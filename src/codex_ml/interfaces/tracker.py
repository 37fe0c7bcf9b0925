"""What a tracker does with metric records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from codex_ml.metrics import MetricRecord


class Tracker(Protocol):
    """A sink of metric records, built as ``factory(run_directory, resume_step=N, again=None)``.

    On opening, it drops the records that a resumed run writes again.
    """

    def write(self, record: MetricRecord) -> None:
        """Record one value, in the order of the calls."""
        ...

    def sync(self) -> None:
        """Make what was recorded survive a power cut."""
        ...

    def close(self) -> None:
        """Flush and release; called once, also after a failure."""
        ...
