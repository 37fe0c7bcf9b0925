from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.metrics import MetricRecord
from codex_ml.tracking import mirror as module
from codex_ml.tracking.mirror import Mirror
from sinks import HIDDEN, LOGIN, Hostile, Remembering, record


@pytest.fixture(autouse=True)
def _no_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER", 0.01)


def ended(mirror: Mirror, seconds: float = 10.0) -> float:
    """End a mirror; how long that took."""
    started = time.monotonic()
    mirror.finish("finished", [Path("run.json")])
    mirror.join(seconds)
    return time.monotonic() - started


@given(sizes=st.lists(st.integers(0, 700), max_size=8))
def test_every_record_arrives_once_in_order_in_batches_on_another_thread(sizes: list[int]) -> None:
    sink = Remembering()
    mirror = Mirror("good", lambda: sink, limit=10_000)
    sent: list[MetricRecord] = []
    for size in sizes:
        batch = [record(len(sent) + n) for n in range(size)]
        mirror.write(batch)
        sent += batch
    ended(mirror)
    assert sink.records == sent
    assert max(sink.batches, default=0) <= module.BATCH
    assert sink.threads <= {"tracker-good"}
    assert sink.closed == [("finished", (Path("run.json"),))]
    assert mirror.health.as_dict() == {"state": "ok", "written": len(sent), "dropped": 0, "error": None}


def test_a_flush_reaches_the_sink_after_the_records_before_it() -> None:
    sink = Remembering()
    mirror = Mirror("good", lambda: sink, limit=10)
    mirror.write([record(1)])
    mirror.sync()
    limit = time.monotonic() + 5
    while not sink.synced and time.monotonic() < limit:
        time.sleep(0.005)
    assert (sink.synced, len(sink.records)) == (1, 1)
    ended(mirror)


DEATHS: dict[str, BaseException] = {
    "an error of its own": ValueError("no such curve"),
    "a full disk": OSError(28, "No space left on device"),
    "the end of its thread": SystemExit(1),
    "no memory": MemoryError(),
}


@pytest.mark.parametrize("at", ["make", "write", "sync", "close"])
@pytest.mark.parametrize("death", DEATHS)
def test_whatever_a_sink_raises_is_one_line_and_a_count(
    at: str, death: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        mirror = Mirror("bad", lambda: Hostile(at, DEATHS[death]), limit=10)
        for step in range(3):
            mirror.write([record(step)])
            mirror.sync()
            time.sleep(0.02)
        assert ended(mirror) < 5
    lines = [line for line in caplog.messages if "'bad'" in line]
    assert len(lines) == 1
    assert "the run goes on" in lines[0]
    assert mirror.health.state == "failed"
    assert type(DEATHS[death]).__name__ in str(mirror.health.error)
    assert mirror.health.written + mirror.health.dropped == 3


@pytest.mark.parametrize("at", ["make", "write", "close"])
def test_a_sink_that_hangs_delays_the_end_by_the_patience_and_no_more(
    at: str, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = Mirror("slow", lambda: Hostile(at, seconds=30), limit=10)
    started = time.monotonic()
    mirror.write([record(step) for step in range(3)])
    assert time.monotonic() - started < 0.1
    assert 0.2 <= ended(mirror, 0.2) < 1
    assert mirror.health.state == "left behind"
    assert len([line for line in caplog.messages if "'slow'" in line]) == 1


def test_a_full_queue_drops_what_comes_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    sink, written = Remembering(), threading.Event()

    def make() -> Remembering:  # takes nothing from the queue before all is written
        assert written.wait(30)
        return sink

    mirror = Mirror("slow", make, limit=10)
    sent = [record(step) for step in range(25)]
    for row in sent:
        mirror.write([row])
    written.set()
    ended(mirror)
    kept = sink.records
    assert kept == sent[: len(kept)]
    assert 10 <= len(kept) < 25
    assert (mirror.health.written, mirror.health.dropped) == (len(kept), 25 - len(kept))
    assert len([line for line in caplog.messages if "'slow'" in line]) == 1


def test_the_line_holds_no_password(caplog: pytest.LogCaptureFixture) -> None:
    error = ConnectionError(f"cannot reach postgresql://{LOGIN}@db.example.org/mlflow")

    def make() -> Any:
        raise error

    mirror = Mirror("far", make, limit=10)
    ended(mirror)
    assert HIDDEN not in caplog.text + str(mirror.health.error)
    assert "db.example.org" in caplog.text
