"""How a record is named in trackers that have one name for each curve."""

from __future__ import annotations

from codex_ml.metrics import MetricRecord


def curve_of(record: MetricRecord) -> str:
    """``train/loss``, ``validation/loss``, ``eval/validation/loss``, ``system/cpu_percent``.

    What is measured during training goes by its split alone.
    """
    where = record.split if record.phase in ("train", record.split) else f"{record.phase}/{record.split}"
    return f"{where}/{record.metric}"
