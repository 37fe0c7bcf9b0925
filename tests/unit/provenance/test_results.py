from __future__ import annotations

from pathlib import Path

from codex_ml.metrics import MetricRecord, NDJSONMetricsWriter
from codex_ml.provenance.results import training_speed


def test_the_speed_is_the_median_window_of_training_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.ndjson"
    assert training_speed(path) == 0.0
    writer = NDJSONMetricsWriter(path)
    for step, value in enumerate([1.0, 100.0, 102.0, 5000.0, 101.0]):
        writer.write(MetricRecord("r", step, "train", "train", "tokens_per_second", value, 0.0))
        writer.write(MetricRecord("r", step, "train", "train", "loss", 7.0, 0.0))
        writer.write(MetricRecord("r", step, "train", "eval", "tokens_per_second", 1e9, 0.0))
    writer.close()
    assert training_speed(path) == 101.0
