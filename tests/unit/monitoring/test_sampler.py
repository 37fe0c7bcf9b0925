from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.ndjson import read
from codex_ml.monitoring import sampler as module
from codex_ml.monitoring.sampler import FILE, Sampler, sampling
from codex_ml.monitoring.summary import summarise


class Counting:
    """Readings without a machine."""

    def __init__(self, *, hangs: threading.Event | None = None) -> None:
        self.reads, self.closed, self.hangs = 0, 0, hangs

    def read(self) -> dict[str, float]:
        if self.hangs is not None and self.reads:
            self.hangs.wait(30)
        self.reads += 1
        return {"cpu_percent": float(self.reads), "disk_free_bytes": 100.0 - self.reads}

    def close(self) -> None:
        self.closed += 1


def start(path: Path, readings: Any, sent: list[tuple[Mapping[str, float], int]]) -> Sampler:
    return Sampler(
        path,
        run_id="run",
        every=0.01,
        readings=readings,
        step=lambda: 7,
        send=lambda values, step: sent.append((values, step)),
    )


def test_rows_say_run_time_and_step_and_trackers_get_the_same(tmp_path: Path) -> None:
    readings, sent = Counting(), []
    sampler = start(tmp_path / FILE, readings, sent)
    time.sleep(0.08)
    sampler.close()
    rows = list(read(tmp_path / FILE))
    assert len(rows) == len(sent) == readings.reads - 1 >= 2
    assert [
        {"cpu_percent": row["cpu_percent"], "disk_free_bytes": row["disk_free_bytes"]} for row in rows
    ] == [values for values, _ in sent]
    assert {(row["run_id"], row["step"]) for row in rows} == {("run", 7)}
    assert [row["ts"] for row in rows] == sorted(row["ts"] for row in rows)
    assert readings.closed == 1


def test_even_the_shortest_block_leaves_a_sample_and_interval_0_none(tmp_path: Path) -> None:
    for every, wanted in ((60.0, 1), (0.0, 0)):
        folder = tmp_path / str(every)
        folder.mkdir()
        with sampling(folder, run_id="r", every=every, step=lambda: 1, send=lambda *_: None):
            pass
        assert len(list(read(folder / FILE))) == wanted


def test_what_a_kill_cut_is_repaired_when_the_run_goes_on(tmp_path: Path) -> None:
    whole = json.dumps({"ts": 1.0, "cpu_percent": 3.0}) + "\n"
    (tmp_path / FILE).write_text(whole + '{"ts": 2.0, "cpu_')
    start(tmp_path / FILE, Counting(), []).close()
    rows = list(read(tmp_path / FILE))
    assert rows[0] == {"ts": 1.0, "cpu_percent": 3.0}
    assert all(row.get("run_id") == "run" for row in rows[1:]) and len(rows) >= 2


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_file_that_cannot_be_written_is_told_once_and_trackers_still_get_samples(
    when: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if when == "at once":
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / FILE
    else:
        path = tmp_path / FILE

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module.NdjsonAppender, "write", full)
    sent: list[tuple[Mapping[str, float], int]] = []
    sampler = start(path, Counting(), sent)
    time.sleep(0.05)
    sampler.close()
    assert len(sent) >= 2
    assert len([line for line in caplog.messages if FILE in line]) == 1


def test_a_sensor_that_hangs_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LAST", 0.1)
    release = threading.Event()
    sampler = start(tmp_path / FILE, Counting(hangs=release), [])
    time.sleep(0.05)
    started = time.monotonic()
    sampler.close()
    assert time.monotonic() - started < 1
    assert "do not answer" in caplog.text
    before = (tmp_path / FILE).read_bytes()
    release.set()
    sampler._thread.join(5)
    assert not sampler._thread.is_alive()
    assert (tmp_path / FILE).read_bytes() == before  # the run may be sealed by now


def test_whatever_ends_the_sampling_is_one_line_and_the_file_is_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no such step")

    readings = Counting()
    sampler = Sampler(tmp_path / FILE, run_id="r", every=0.01, readings=readings, step=lambda: 1, send=broken)
    sampler._thread.join(5)
    sampler.close()
    assert (sampler._file, readings.closed) == (None, 1)
    assert [line for line in caplog.messages if "not watched any more" in line] == caplog.messages


def test_the_summary_has_means_and_peaks_and_of_free_space_the_least(tmp_path: Path) -> None:
    path = tmp_path / FILE
    rows = [{"cpu_percent": 10, "disk_free_bytes": 5}, {"cpu_percent": 30, "disk_free_bytes": 3, "gpu0_x": 1}]
    path.write_text("".join(json.dumps({"run_id": "r", "ts": 1, "step": 2, **row}) + "\n" for row in rows))
    assert summarise(path) == {
        "samples": 2,
        "mean": {"cpu_percent": 20.0, "disk_free_bytes": 4.0, "gpu0_x": 1.0},
        "peak": {"cpu_percent": 30.0, "disk_free_bytes": 3.0, "gpu0_x": 1.0},
    }
    assert summarise(tmp_path / "none") is None


def test_damaged_samples_are_left_out_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / FILE
    good = json.dumps({"ts": 1, "cpu_percent": 10}).encode() + b"\n"
    bad = (b"\0" * 300 + b"\n", b'{"ts": 2, "cpu_percent": []}\n', b"[]\n", b"\xff\n")
    path.write_bytes(good + b"".join(bad) + good + b'{"ts": 3, "cpu')
    assert summarise(path) == {"samples": 2, "mean": {"cpu_percent": 10.0}, "peak": {"cpu_percent": 10.0}}
    (line,) = caplog.messages
    assert "4 damaged lines" in line and f"{FILE}:2" in line
    path.unlink()
    path.mkdir()
    assert summarise(path) is None
