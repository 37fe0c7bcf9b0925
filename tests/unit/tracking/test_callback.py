"""A callback as a sink: each measurement once, in order; what it does stays its own affair."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_ml.config.components import sink_component
from codex_ml.config.compose import compose
from codex_ml.errors import NotFoundError
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.callback import CallbackTracker
from codex_ml.tracking.context import TrackerContext


def record(step: int, *, facts: dict[str, str] | None = None) -> MetricRecord:
    return MetricRecord("0" * 32, step, "train", "train", "loss", 2.0, 0.0, facts=facts)


def test_it_sees_every_measurement_in_order_and_not_the_start(tmp_path: Path) -> None:
    seen: list[int] = []
    tracker = CallbackTracker(lambda one: seen.append(one.step), TrackerContext(tmp_path, "0" * 32))
    tracker.write([record(0, facts={"seed": "1"}), record(1), record(2)])
    tracker.sync()
    tracker.write([record(3)])
    tracker.close("finished", [])
    assert seen == [1, 2, 3]


def test_a_sink_names_a_tracker_or_a_callback() -> None:
    assert sink_component("mlflow") == ("trackers", "mlflow")
    assert sink_component("callback:mine") == ("callbacks", "mine")
    assert sink_component("callback") == ("trackers", "callback")


def test_an_unknown_callback_is_refused_before_the_run() -> None:
    with pytest.raises(NotFoundError, match="no 'mine' among the callbacks"):
        compose(["tracking.sinks=[ndjson,'callback:mine']"], environ={})
