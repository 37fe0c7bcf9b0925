"""A callback: says when a measurement is no number any more."""

from __future__ import annotations

import logging
import math

from codex_ml.metrics import MetricRecord

CODEX_ML_CONTRACT = {"callbacks": 1}

log = logging.getLogger(__name__)


def watch(record: MetricRecord) -> None:
    """``tracking.sinks=[ndjson,callback:watch]`` calls it with every record, beside training."""
    if not math.isfinite(record.value):
        log.warning("step %d: %s is %s", record.step, record.metric, record.value)
