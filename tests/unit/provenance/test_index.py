from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from codex_ml.core.paths import Home
from codex_ml.provenance import index
from codex_ml.provenance.index import list_summaries
from codex_ml.provenance.run_directory import RunDirectory
from written_runs import write_run


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_the_second_look_reads_no_run_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write_run(home, f"run-{number}", loss=float(number))
    first = list_summaries(home)
    read: list[str] = []
    original = RunDirectory.read
    monkeypatch.setattr(RunDirectory, "read", lambda self: read.append(self.name) or original(self))
    assert list_summaries(home) == first
    assert read == []
    write_run(home, "run-3", loss=30.0)
    changed = list_summaries(home)
    assert read == ["run-3"]
    assert changed[3]["metrics"] == {"loss": 30.0}


def test_a_new_checkpoint_and_a_removed_run_are_seen(home: Home) -> None:
    directory = write_run(home, "a")
    write_run(home, "b", loss=1.0)
    assert [(row["run"], row["state"], row["step"]) for row in list_summaries(home)] == [
        ("a", "unfinished", 0),
        ("b", "finished", 0),
    ]
    (directory.checkpoints / "step-00000020").mkdir(parents=True)
    assert list_summaries(home)[0]["step"] == 20
    os.rename(home.run("b"), home.root / "elsewhere")
    assert [row["run"] for row in list_summaries(home)] == ["a"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version": 0}', b'{"version": 1, "runs": 3}', b'{"version": 1, "runs": {"a": 1}}'],
)
def test_a_lost_or_damaged_index_is_written_again(content: bytes, home: Home) -> None:
    write_run(home, "a", loss=2.0)
    first = list_summaries(home)
    home.runs_index.write_bytes(content)
    assert list_summaries(home) == first
    assert json.loads(home.runs_index.read_bytes())["version"] == index.VERSION
    home.runs_index.unlink()
    assert list_summaries(home) == first


def test_an_index_that_cannot_be_kept_changes_nothing(home: Home) -> None:
    write_run(home, "a", loss=2.0)
    (home.root / ".codex").write_text("a file where a folder should be", encoding="utf-8")
    assert [row["run"] for row in list_summaries(home)] == ["a"]


def test_a_workspace_without_runs_has_none(home: Home) -> None:
    assert list_summaries(home) == []


def test_a_run_at_work_is_running(home: Home) -> None:
    directory = write_run(home, "a")
    write_run(home, "done", loss=1.0)
    with directory.locked():
        assert [row["state"] for row in list_summaries(home)] == ["running", "finished"]
    assert [row["state"] for row in list_summaries(home)] == ["unfinished", "finished"]


def test_one_odd_run_is_damaged_and_the_others_are_listed(home: Home) -> None:
    write_run(home, "good", loss=1.0)
    write_run(home, "odd", config={})
    assert [(row["run"], row["state"]) for row in list_summaries(home)] == [
        ("good", "finished"),
        ("odd", "damaged"),
    ]


def test_a_lock_is_tried_only_where_the_system_lists_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write_run(home, f"run-{number}")
        RunDirectory(home.run(f"run-{number}")).path.joinpath(".lock").touch()
    tried: list[str] = []
    original = RunDirectory.busy
    monkeypatch.setattr(RunDirectory, "busy", lambda self: tried.append(self.name) or original(self))
    with RunDirectory(home.run("run-3")).locked():
        states = {row["run"]: row["state"] for row in list_summaries(home)}
        assert tried == ["run-3"] and states["run-3"] == "running"
    assert index.locked_inodes(home.root / "no-such-table") is None


def test_who_only_looks_keeps_nobody_from_working(home: Home) -> None:
    directory = write_run(home, "a")
    (directory.path / ".lock").touch()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            directory.busy()

    watcher = threading.Thread(target=look)
    watcher.start()
    taken = 0
    try:
        for _ in range(200):
            with directory.locked():  # raises where a look would hold the lock
                taken += 1
    finally:
        done.set()
        watcher.join()
    assert taken == 200
