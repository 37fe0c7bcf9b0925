from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from codex_ml.core.ndjson import read
from codex_ml.errors import DataError, NotFoundError, StorageError
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.composite import CompositeTracker, open_trackers
from codex_ml.tracking.csv_sink import CsvTracker
from codex_ml.tracking.ndjson_sink import NdjsonTracker


class FailingTracker:
    """A sink that works twice and then no more; or always, up to a flush or its end."""

    def __init__(self, error: Exception, *, at_close: bool = False, at_sync: bool = False) -> None:
        self.error, self.at_close, self.at_sync = error, at_close, at_sync
        self.calls = self.synced = self.closed = 0

    def write(self, record: MetricRecord) -> None:
        self.calls += 1
        if self.calls > 2 and not (self.at_close or self.at_sync):
            raise self.error

    def sync(self) -> None:
        self.synced += 1
        if self.at_sync:
            raise self.error

    def close(self) -> None:
        self.closed += 1
        if self.at_close:
            raise self.error


def log_steps(tracker: CompositeTracker, steps: int = 6) -> None:
    for step in range(steps):
        tracker.log({"loss": float(step)}, step=step, split="train", phase="train")


@pytest.mark.parametrize("error", [OSError(28, "No space left"), StorageError("full", code="storage.full")])
def test_a_failing_sink_is_reported_once_and_the_truth_goes_on(
    error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = FailingTracker(error)
    tracker = CompositeTracker(
        {"flaky": failing, "ndjson": NdjsonTracker(tmp_path, resume_step=0)}, run_id="run"
    )
    with caplog.at_level(logging.WARNING):
        log_steps(tracker)
        tracker.close()
    assert [row["step"] for row in read(tmp_path / "metrics.ndjson")] == list(range(6))
    assert failing.calls == 3
    assert len([line for line in caplog.messages if "'flaky'" in line]) == 1
    assert list(tracker.failed) == ["flaky"]


def test_the_truth_itself_may_not_fail() -> None:
    tracker = CompositeTracker({"ndjson": FailingTracker(OSError(28, "No space left"))}, run_id="run")
    with pytest.raises(OSError, match="No space left"):
        log_steps(tracker)


def test_a_sink_that_fails_at_the_end_keeps_no_other_from_closing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, truth = FailingTracker(OSError(5, "gone"), at_close=True), FailingTracker(OSError(5, "gone"))
    tracker = CompositeTracker({"bad": bad, "ndjson": truth}, run_id="run")
    tracker.close()
    assert (bad.closed, truth.closed) == (1, 1)
    assert "'bad'" in caplog.text
    truth.at_close = True
    with pytest.raises(OSError, match="gone"):
        CompositeTracker({"ndjson": truth, "bad": bad}, run_id="run").close()
    assert bad.closed == 2


def test_a_sink_that_cannot_be_flushed_is_left_out_and_the_truth_is_flushed_or_fails() -> None:
    bad, truth = FailingTracker(OSError(5, "gone"), at_sync=True), FailingTracker(OSError(5, "gone"))
    tracker = CompositeTracker({"bad": bad, "ndjson": truth}, run_id="run")
    tracker.sync()
    tracker.sync()
    assert (bad.synced, truth.synced) == (1, 2)
    assert list(tracker.failed) == ["bad"]
    truth.at_sync = True
    with pytest.raises(OSError, match="gone"):
        tracker.sync()


def test_both_files_forget_an_evaluation_that_is_done_again(tmp_path: Path) -> None:
    def opened(resume_step: int, again: str | None) -> CompositeTracker:
        return open_trackers(
            ("csv",), run_directory=tmp_path, run_id="run", resume_step=resume_step, again=again
        )

    tracker = opened(0, None)
    for split in ("train", "validation"):
        tracker.log({"loss": 1.0, "accuracy": 0.5}, step=1, split=split, phase="train")
    tracker.close()
    opened(1, None).close()
    assert [row["split"] for row in read(tmp_path / "metrics.ndjson")] == ["train"] * 2 + ["validation"] * 2
    opened(1, "validation/train").close()
    assert [row["split"] for row in read(tmp_path / "metrics.ndjson")] == ["train"] * 2
    csv_splits = [line.split(",")[2] for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
    assert csv_splits == ["train"] * 2


def test_both_files_forget_what_lies_beyond_the_loaded_step(tmp_path: Path) -> None:
    names = ("csv", "csv")
    tracker = open_trackers(names, run_directory=tmp_path, run_id="run", resume_step=0)
    log_steps(tracker)
    tracker.close()
    tracker = open_trackers(names, run_directory=tmp_path, run_id="run", resume_step=3)
    tracker.log({"loss": 9.0}, step=4, split="train", phase="train")
    tracker.close()
    assert [row["step"] for row in read(tmp_path / "metrics.ndjson")] == [0, 1, 2, 3, 4]
    csv_steps = [line.split(",")[1] for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
    assert csv_steps == ["0", "1", "2", "3", "4"]


def test_the_truth_is_written_whether_asked_for_or_not(tmp_path: Path) -> None:
    tracker = open_trackers((), run_directory=tmp_path, run_id="run", resume_step=0)
    tracker.log({"a": 1.0, "b": 2.0}, step=1, split="s", phase="p", dataset="d")
    tracker.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.ndjson").read_text().splitlines()]
    assert [(row["metric"], row["value"], row["dataset"]) for row in lines] == [
        ("a", 1.0, "d"),
        ("b", 2.0, "d"),
    ]
    assert lines[0]["ts"] == lines[1]["ts"]
    assert not (tmp_path / "metrics.csv").exists()


def test_an_unknown_sink_or_a_foreign_file_is_an_error_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_trackers(("cvs",), run_directory=tmp_path, run_id="run", resume_step=0)
    (tmp_path / "metrics.csv").write_text("other,columns\n")
    with pytest.raises(DataError):
        CsvTracker(tmp_path, resume_step=0)
