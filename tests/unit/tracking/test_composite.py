from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from codex_ml.core.ndjson import read
from codex_ml.errors import DataError, StorageError
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.composite import CompositeTracker
from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.file_sinks import CsvTracker, NdjsonTracker
from codex_ml.tracking.mirror import Mirror
from codex_ml.tracking.opening import open_files
from sinks import Hostile, Remembering


class FailingTracker:
    """A file that works twice and then no more; or always, up to a flush or its end."""

    def __init__(self, error: Exception, *, at_close: bool = False, at_sync: bool = False) -> None:
        self.error, self.at_close, self.at_sync = error, at_close, at_sync
        self.calls = self.synced = self.closed = 0

    def write(self, _records: Sequence[MetricRecord]) -> None:
        self.calls += 1
        if self.calls > 2 and not (self.at_close or self.at_sync):
            raise self.error

    def sync(self) -> None:
        self.synced += 1
        if self.at_sync:
            raise self.error

    def close(self, _status: str, _artifacts: Sequence[Path]) -> None:
        self.closed += 1
        if self.at_close:
            raise self.error


def log_steps(tracker: CompositeTracker, steps: int = 6) -> None:
    for step in range(steps):
        tracker.log({"loss": float(step)}, step=step, split="train", phase="train")


@pytest.mark.parametrize("error", [OSError(28, "No space left"), StorageError("full", code="storage.full")])
def test_a_failing_file_is_reported_once_and_the_truth_goes_on(
    error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = FailingTracker(error)
    truth = NdjsonTracker(TrackerContext(tmp_path, "run"))
    tracker = CompositeTracker({"flaky": failing, "ndjson": truth}, run_id="run")
    with caplog.at_level(logging.WARNING):
        log_steps(tracker)
        tracker.close()
    assert [row["step"] for row in read(tmp_path / "metrics.ndjson")] == list(range(6))
    assert failing.calls == 3
    assert len([line for line in caplog.messages if "'flaky'" in line]) == 1
    assert tracker.health() == {
        "flaky": {"state": "failed", "written": 2, "dropped": 4, "error": str(error)},
        "ndjson": {"state": "ok", "written": 6, "dropped": 0, "error": None},
    }


def test_the_truth_itself_may_not_fail() -> None:
    tracker = CompositeTracker({"ndjson": FailingTracker(OSError(28, "No space left"))}, run_id="run")
    with pytest.raises(OSError, match="No space left"):
        log_steps(tracker)


def test_a_file_that_fails_at_the_end_keeps_no_other_from_closing(
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


def test_a_file_that_cannot_be_flushed_is_left_out_and_the_truth_is_flushed_or_fails() -> None:
    bad, truth = FailingTracker(OSError(5, "gone"), at_sync=True), FailingTracker(OSError(5, "gone"))
    tracker = CompositeTracker({"bad": bad, "ndjson": truth}, run_id="run")
    tracker.sync()
    tracker.sync()
    assert (bad.synced, truth.synced) == (1, 2)
    assert tracker.health()["bad"]["state"] == "failed"
    truth.at_sync = True
    with pytest.raises(OSError, match="gone"):
        tracker.sync()


def test_mirrors_get_the_same_records_and_the_samples_of_the_machine_which_the_files_do_not(
    tmp_path: Path,
) -> None:
    sink = Remembering()
    mirror = Mirror("good", lambda: sink, limit=100)
    files = {"ndjson": NdjsonTracker(TrackerContext(tmp_path, "run"))}
    tracker = CompositeTracker(files, run_id="run", mirrors=[mirror], patience=5)
    log_steps(tracker, 2)
    tracker.log_system({"cpu_percent": 50.0}, step=2)
    tracker.close("interrupted", [tmp_path / "report.html"])
    assert [row["value"] for row in read(tmp_path / "metrics.ndjson")] == [0.0, 1.0]
    assert [(row.step, row.split, row.metric, row.value) for row in sink.records] == [
        (0, "train", "loss", 0.0),
        (1, "train", "loss", 1.0),
        (2, "system", "cpu_percent", 50.0),
    ]
    assert sink.closed == [("interrupted", (tmp_path / "report.html",))]


def test_all_mirrors_together_get_the_patience_once() -> None:
    import time

    mirrors = [Mirror(f"slow{n}", lambda: Hostile("make", seconds=30), limit=10) for n in range(3)]
    tracker = CompositeTracker({}, run_id="run", mirrors=mirrors, patience=0.3)
    started = time.monotonic()
    tracker.close()
    assert 0.2 < time.monotonic() - started < 1.5
    assert {row["state"] for row in tracker.health().values()} == {"left behind"}


def opened(directory: Path, resume_step: int, again: str | None = None, **more: object) -> CompositeTracker:
    return open_files(TrackerContext(directory, "run", resume_step=resume_step, again=again, **more))  # type: ignore[arg-type]


def test_both_files_forget_an_evaluation_that_is_done_again(tmp_path: Path) -> None:
    tracker = opened(tmp_path, 0)
    for split in ("train", "validation"):
        tracker.log({"loss": 1.0, "accuracy": 0.5}, step=1, split=split, phase="train")
    tracker.close()
    opened(tmp_path, 1).close()
    assert [row["split"] for row in read(tmp_path / "metrics.ndjson")] == ["train"] * 2 + ["validation"] * 2
    opened(tmp_path, 1, "validation/train").close()
    assert [row["split"] for row in read(tmp_path / "metrics.ndjson")] == ["train"] * 2
    csv_splits = [line.split(",")[2] for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
    assert csv_splits == ["train"] * 2


def test_both_files_forget_what_lies_beyond_the_loaded_step(tmp_path: Path) -> None:
    tracker = opened(tmp_path, 0)
    log_steps(tracker)
    tracker.close()
    tracker = opened(tmp_path, 3)
    tracker.log({"loss": 9.0}, step=4, split="train", phase="train")
    tracker.close()
    assert [row["step"] for row in read(tmp_path / "metrics.ndjson")] == [0, 1, 2, 3, 4]
    csv_steps = [line.split(",")[1] for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
    assert csv_steps == ["0", "1", "2", "3", "4"]


def test_one_call_is_one_moment(tmp_path: Path) -> None:
    tracker = opened(tmp_path, 0)
    tracker.log({"a": 1.0, "b": 2.0}, step=1, split="s", phase="p", dataset="d")
    tracker.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.ndjson").read_text().splitlines()]
    assert [(row["metric"], row["value"], row["dataset"]) for row in lines] == [
        ("a", 1.0, "d"),
        ("b", 2.0, "d"),
    ]
    assert lines[0]["ts"] == lines[1]["ts"]


def test_new_files_begin_with_the_facts_and_old_ones_keep_theirs(tmp_path: Path) -> None:
    tracker = opened(tmp_path, 0, facts={"commit": "one"})
    log_steps(tracker, 2)
    tracker.close()
    opened(tmp_path, 0, facts={"commit": "two"}).close()
    first, second = read(tmp_path / "metrics.ndjson")
    assert {**first, "ts": 0} == {
        "run_id": "run",
        "step": 0,
        "split": "run",
        "phase": "start",
        "metric": "start",
        "value": 0.0,
        "ts": 0,
        "facts": {"commit": "one"},
    }
    assert (second["step"], second["phase"]) == (0, "train")
    assert '""commit"": ""one""' in (tmp_path / "metrics.csv").read_text().splitlines()[1]


@pytest.mark.parametrize("kept", [b"", b"run_id,st"])
def test_a_file_that_a_kill_left_empty_begins_anew(kept: bytes, tmp_path: Path) -> None:
    (tmp_path / "metrics.ndjson").write_bytes(kept)
    (tmp_path / "metrics.csv").write_bytes(kept)
    opened(tmp_path, 0, facts={"commit": "one"}).close()
    assert [row["facts"] for row in read(tmp_path / "metrics.ndjson")] == [{"commit": "one"}]
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 2


def test_a_foreign_file_is_an_error_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("other,columns\n")
    with pytest.raises(DataError):
        CsvTracker(TrackerContext(tmp_path, "run"))
