"""`codex-ml runs ls|best|compare|plot|tail|watch|archive|gc` on real runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_ml.provenance.run_directory import RunDirectory

pytestmark = pytest.mark.needs("train", "report")


@pytest.fixture(scope="module")
def two(trained: Path, tmp_path_factory: pytest.TempPathFactory, cli) -> Path:
    """A workspace with the finished run ``tiny`` and the trained run ``other``."""
    home = tmp_path_factory.mktemp("two") / "home"
    shutil.copytree(trained, home)
    done = cli(home, "train", "experiment=tiny", "name=other", "train.lr=0.01", "train.steps=20")
    assert done.code == 0, done.err
    return home


def test_ls_filters_by_state_and_name(two, cli) -> None:
    rows = cli(two, "runs", "ls", "--json").json["runs"]
    assert [(row["run"], row["state"]) for row in rows] == [("other", "trained"), ("tiny", "finished")]
    assert [row["run"] for row in cli(two, "runs", "ls", "--state", "trained", "--json").json["runs"]] == [
        "other"
    ]
    assert [row["run"] for row in cli(two, "runs", "ls", "--match", "in", "--json").json["runs"]] == ["tiny"]
    assert [row["run"] for row in cli(two, "runs", "ls", "--limit", "1", "--json").json["runs"]] == ["other"]


def test_best_ranks_by_a_metric_and_names_the_nearest_for_a_typo(two, cli) -> None:
    (row,) = cli(two, "runs", "best", "--metric", "bits_per_byte", "--json").json["runs"]
    assert row["run"] == "tiny" and row["value"] > 0
    done = cli(two, "runs", "best", "--metric", "los", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "runs.metric")
    assert "did you mean 'loss'" in done.err


def test_compare_sets_figures_side_by_side_and_writes_a_page_of_its_own(two, cli, tmp_path) -> None:
    page = tmp_path / "both.html"
    done = cli(two, "runs", "compare", "tiny", "other", "--html", str(page), "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["runs"] == ["tiny", "other"]
    assert found["differences"]["train.steps"] == [40, 20]
    assert set(found["differences"]) == {"train.lr", "train.steps"}
    rows = {row["metric"]: row["values"] for row in found["metrics"]}
    assert rows["loss"][0] > 0 and rows["loss"][1] is None
    assert all(value > 0 for value in rows["train/loss"])
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") >= 4 and "<script" not in text and len(text) < 1_000_000
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "train.lr" in done.err and "tiny" in done.err


def test_plot_draws_one_run_and_several(two, cli) -> None:
    done = cli(two, "runs", "plot", "tiny", "--metric", "loss", "--height", "8", env={"COLUMNS": "80"})
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "train loss: tiny" and len(lines) == 10
    assert any("⠀" < sign <= "⣿" for sign in done.out)
    both = cli(two, "runs", "plot", "tiny", "other", "--json")
    assert both.json["runs"][0]["steps"] == [10, 20, 30, 40]
    wrong = cli(two, "runs", "plot", "tiny", "--metric", "lss", "--json")
    assert (wrong.code, wrong.json["error"]["code"]) == (2, "runs.metric")


def test_tail_shows_the_newest_records_and_ends_with_a_run_at_rest(two, cli) -> None:
    done = cli(two, "runs", "tail", "tiny", "--lines", "3", "--follow", "--json", timeout=60)
    groups = done.json["records"]
    assert [(row["step"], row["split"], row["phase"]) for row in groups] == [
        (40, "train", "train"),
        (40, "validation", "train"),
        (40, "validation", "eval"),
    ]
    assert groups[0]["values"]["loss"] > 0 and done.json["running"] is False
    plain = cli(two, "runs", "tail", "tiny", "--lines", "1")
    assert plain.out.startswith("step      40  validation, eval") and "loss" in plain.out


def test_tail_follows_a_run_that_is_running_to_its_end(trained: Path, tmp_path: Path, cli) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained / ".codex", home / ".codex")
    words = [sys.executable, "-m", "codex_ml", "train", "experiment=tiny", "name=live", "--quiet"]
    env = {**os.environ, "CODEX_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, env=env, cwd=tmp_path) as training:
        try:
            while not (home / "runs" / "live" / "metrics.ndjson").exists():
                assert training.poll() is None
                time.sleep(0.05)
            done = cli(home, "runs", "tail", "live", "--follow", "--lines", "1000", "--json", timeout=120)
        finally:
            assert training.wait(timeout=120) == 0
    steps = [row["step"] for row in done.json["records"] if row["split"] == "train"]
    assert steps == [10, 20, 30, 40]


def test_tail_ends_at_a_run_that_was_killed_in_mid_line(trained: Path, tmp_path: Path, cli) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained / "runs", home / "runs")
    with (home / "runs" / "tiny" / "metrics.ndjson").open("a", encoding="utf-8") as stream:
        stream.write('{"run_id": "x", "step": 4')
    done = cli(home, "runs", "tail", "tiny", "--follow", "--json", timeout=30)
    assert done.code == 0 and done.json["records"][-1]["step"] == 40


@pytest.fixture
def watched(two: Path) -> Iterator[str]:
    """The address of a live page of both runs."""
    words = [
        sys.executable,
        "-m",
        "codex_ml",
        "runs",
        "watch",
        "tiny",
        "other",
        "--port",
        "0",
        "--seconds",
        "60",
    ]
    env = {**os.environ, "CODEX_HOME": str(two)}
    with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True, cwd=two) as serving:
        assert serving.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", serving.stderr.readline())
        assert found is not None
        yield found[0]
        serving.send_signal(signal.SIGINT)
        assert serving.wait(timeout=20) == 0  # Ctrl-C is how it ends


def test_watch_serves_the_curves_to_this_machine_alone(watched: str) -> None:
    with urllib.request.urlopen(watched) as answer:
        page = answer.read().decode()
    assert "https://" not in page.replace("http://www.w3.org", "") and "state.json" in page
    with urllib.request.urlopen(f"{watched}state.json") as answer:
        state = json.load(answer)
    assert [run["run"] for run in state["runs"]] == ["tiny", "other"]
    assert [step for step, _ in state["runs"][0]["curves"]["train/loss"]] == [10, 20, 30, 40]
    strange = urllib.request.Request(f"{watched}state.json", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(strange)
    assert caught.value.code == 403
    caught.value.close()


def test_watch_says_when_its_port_is_taken_and_ends_by_itself(two, cli, watched: str) -> None:
    port = watched.rstrip("/").rpartition(":")[2]
    taken = cli(two, "runs", "watch", "--port", port, "--json")
    assert (taken.code, taken.json["error"]["code"]) == (2, "runs.port")
    done = cli(two, "runs", "watch", "--port", "0", "--seconds", "0.3", "--json", timeout=30)
    assert (done.code, done.json["requests"]) == (0, 0)


def test_a_run_is_archived_packed_and_collected(two: Path, tmp_path: Path, cli) -> None:
    home = tmp_path / "home"
    shutil.copytree(two, home)
    packed = cli(home, "runs", "archive", "other", "--to", str(tmp_path / "other.tar"), "--remove", "--json")
    assert packed.code == 0 and not (home / "runs" / "other").exists(), packed.err
    shutil.unpack_archive(tmp_path / "other.tar", home / "runs", filter="data")
    assert cli(home, "verify", "other", "--json").code == 0
    moved = Path(cli(home, "runs", "archive", "other", "--json").json["moved_to"])
    assert RunDirectory(moved).read()["name"] == "other"
    would = cli(home, "runs", "gc", "--dry-run", "--older-than", "0", "--json").json
    assert [row["run"] for row in would["removed"]] == [moved.name] and moved.exists()
    assert cli(home, "runs", "gc", "--older-than", "0", "--json").json["bytes"] == would["bytes"]
    assert not moved.exists() and (home / "runs" / "tiny").exists()
    wrong = cli(home, "runs", "archive", "tiny", "--remove", "--json")
    assert (wrong.code, wrong.json["error"]["code"]) == (2, "usage")
