"""What a tracker does with metric records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from codex_ml.metrics import MetricRecord

#: How the work ended that the records are of.
Status = Literal["finished", "interrupted", "failed"]


class Tracker(Protocol):
    """A sink of metric records, built as ``factory(context)``, see `codex_ml.tracking.context`.

    Every sink but the run's own files lives on a thread of its own, from its making to its end: it may be
    slow and may raise anything. A factory may say what it cannot do without: ``requires``, a tuple of
    modules, and ``extra``, what installs them. Its settings may be looked at before a run by ``check(cfg,
    runs=…, network_allowed=…)``, which raises ConfigError. A tracker that holds what could keep the process
    from ending may have ``abandon()``: called from any thread once it has failed or is left behind.
    """

    def write(self, records: Sequence[MetricRecord]) -> None:
        """Record some values, in the order of the calls."""
        ...

    def sync(self) -> None:
        """Make what was recorded survive a power cut, as far as the sink can."""
        ...

    def close(self, status: Status, artifacts: Sequence[Path]) -> None:
        """Flush and release; called once. *artifacts* are small files of the run worth a copy."""
        ...
