"""`codex-ml sweep`: grid and sampled, interrupted and gone on with, local and through submitit."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("train", "report", "sweep")
#: A run of a second, once data and tokenizer are there.
SMALL = (
    "experiment=tiny",
    "train.steps=4",
    "eval.every=4",
    "eval.tasks=[lm]",
    "eval.max_rows=8",
    "train.log_every=2",
)
SHORT = (*SMALL, "train.schedule.warmup_steps=1", "sample.prompts=[x]", "sample.max_tokens=1")


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A workspace with tokenizer and data alone."""
    home = tmp_path / "home"
    shutil.copytree(trained / ".codex" / "store", home / ".codex" / "store")
    return home


def metric(home: Path, run: str) -> float:
    record = json.loads((home / "runs" / run / "run.json").read_text(encoding="utf-8"))
    return float(record["result"]["metrics"]["loss"])


def test_a_grid_ranks_ordinary_runs_names_a_failed_one_and_tries_only_that_again(home: Path, cli) -> None:
    words = ("sweep", *SHORT, "name=heads", "train.batch_size=4,100000", "--jobs", "2", "--json")
    done = cli(home, *words)
    assert done.code == 1
    good, bad = done.json["trials"]
    assert (good["run"], good["state"], good["words"]) == ("heads-000", "finished", ["train.batch_size=4"])
    assert good["value"] == metric(home, "heads-000")
    assert bad["state"] == "failed" and "trial-001.log" in bad["fault"]
    assert "batch_size" in (home / "sweeps" / "heads" / "trial-001.log").read_text(encoding="utf-8")
    page = Path(done.json["page"]).read_text(encoding="utf-8")
    assert page.count("<svg") >= 3 and "heads-001" in page and "<script" not in page
    record = json.loads((home / "runs" / "heads-000" / "run.json").read_text(encoding="utf-8"))
    assert record["resolved"]["threads"] == 1  # two at a time share two cores
    assert cli(home, "verify", "heads-000", "--json").code == 0
    before = (home / "runs" / "heads-000" / "run.json").stat().st_mtime_ns
    again = cli(home, *words)
    assert again.code == 1 and again.json["trials"][0] == good
    assert (home / "runs" / "heads-000" / "run.json").stat().st_mtime_ns == before
    shown = cli(home, "sweep", "name=heads", "--show", "--json")
    assert (shown.code, shown.json["trials"][0], shown.json["page"]) == (1, good, None)
    with (home / "sweeps" / "heads" / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = cli(home, *words)
    assert (busy.code, busy.json["error"]["code"]) == (2, "sweep.locked")
    other = cli(home, "sweep", *SHORT, "name=heads", "model.heads=4,2", "--json")
    assert (other.code, other.json["error"]["code"]) == (2, "sweep.identity")
    ranked = cli(home, "sweep", "name=heads", "--show", "--metric", "token_accuracy", "--json").json
    assert ranked["metric"] == "token_accuracy"
    assert 0 < ranked["trials"][0]["value"] < 1
    wrong = cli(home, "sweep", "name=heads", "--show", "--metric", "los", "--json")
    assert (wrong.code, wrong.json["error"]["code"]) == (2, "sweep.metric")


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("model.heads=4,3", "config.heads"),
        ("train=adamw,nope", "config.unknown-option"),
        ("seed=range(0,0)", "sweep.values"),
        ("seed=range(0,1,0)", "sweep.values"),
        ("seed=glob(*)", "sweep.values"),
        ("seed=range(0,100000000000)", "sweep.values"),
        ("seed=1,2,1", "sweep.twice"),
    ],
)
def test_a_wrong_value_is_known_before_the_first_trial(home: Path, cli, word: str, code: str) -> None:
    done = cli(home, "sweep", *SHORT, "name=early", word, "--dry-run", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, code)


def test_what_the_built_in_tasks_measure_is_known_beforehand(trained: Path) -> None:
    from codex_ml.metrics.functions import MEASURED, MEASURED_ALWAYS

    record = json.loads((trained / "runs" / "tiny" / "run.json").read_text(encoding="utf-8"))
    known = {name for task in record["config"]["eval"]["tasks"] for name in MEASURED[task]}
    assert set(MEASURED) == set(record["config"]["eval"]["tasks"])
    assert set(record["result"]["metrics"]) == known | MEASURED_ALWAYS


def test_an_interrupted_sweep_leaves_a_trial_with_its_state_saved(home: Path, tmp_path) -> None:
    words = ["sweep", *SHORT, "train.steps=4000", "train.lr=choice(1e-3)", "name=stopped", "--json"]
    env = {**os.environ, "CODEX_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", "codex_ml", *words], env=env, cwd=tmp_path) as sweeping:
        journal = home / "runs" / "stopped-000" / "journal.jsonl"
        while not journal.exists() or not journal.stat().st_size:  # before the first step nothing is saved
            assert sweeping.poll() is None
            time.sleep(0.05)
        sweeping.send_signal(signal.SIGTERM)
        assert sweeping.wait(timeout=60) == 75
    stored = json.loads((home / "sweeps" / "stopped" / "sweep.json").read_text(encoding="utf-8"))
    assert [row["state"] for row in stored["trials"]] == ["interrupted"]
    assert any((home / "runs" / "stopped-000" / "checkpoints").glob("step-*"))


def test_a_job_runs_through_submitit_and_its_exit_code_and_words_come_back(home: Path) -> None:
    # submitit's own local cluster stands in for SLURM, which is not here: same executor, same job files.
    script = (
        "from pathlib import Path\n"
        "from codex_ml.pipeline.sweep.launch import Job, Submitted\n"
        f"home = Path({str(home)!r})\n"
        "runs = Submitted(home / 'jobs', cluster='local', parameters={'timeout_min': '5'})\n"
        "raise SystemExit(runs.run(Job(('experiment=tiny', 'train.lrr=1'), None, home, home / 'job.log')))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2, ran.stderr
    assert "train.lrr" in (home / "job.log").read_text(encoding="utf-8")
    assert any((home / "jobs").iterdir())


def test_a_cancelled_job_is_an_interrupted_trial(home: Path) -> None:
    script = (
        "import threading, time\n"
        "from pathlib import Path\n"
        "from codex_ml.pipeline.sweep.launch import Job, Submitted\n"
        f"home = Path({str(home)!r})\n"
        "runs = Submitted(home / 'jobs', cluster='local', parameters={'timeout_min': '5'})\n"
        "threading.Timer(2.0, runs.stop).start()\n"
        "words = ('experiment=tiny', 'train.steps=100000', 'name=long')\n"
        "raise SystemExit(runs.run(Job(words, None, home, home / 'job.log')))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 75, ran.stderr
    assert "did not end by itself" in (home / "job.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("name=x",), "sweep.nothing"),
        (("name=x", "train.lr=interval(1e-4,1e-2)"), "sweep.interval"),
        (("name=x", "train.lrr=1,2"), "config.unknown-key"),
        (("name=x", "train.lr=1,2", "train.lr=3,4"), "sweep.twice"),
        (("name=x", "--show"), "sweep.missing"),
        (("--show",), "usage"),
        (("name=x", "train.lr=1,2", "--space", "nowhere.yaml"), "sweep.space"),
        (("name=x", "train.lr=1,2", "--launcher", "slurm", "--slurm", "a"), "usage"),
    ],
)
def test_what_is_no_sweep_is_refused_before_anything_runs(words, code: str, home: Path, cli) -> None:
    done = cli(home, "sweep", "experiment=tiny", *words, "--json")
    assert (done.code, done.json["error"]["code"]) == (2, code)
    assert not (home / "runs").exists()


def test_the_sample_space_is_one_that_composes(home: Path) -> None:
    from codex_ml.pipeline.sweep.start import prepare

    example = Path(__file__).parents[2] / "examples" / "sweep.yaml"
    asked, dimensions = prepare(
        (), config_dir=None, space=example, metric="loss", trials=6, jobs=2, launcher="slurm"
    )
    assert asked.name == "lr-and-width" and len(dimensions) == 3
    assert asked.words == ("experiment=tiny",)  # jobs of a cluster do not share this machine's cores


def test_a_tracker_that_lost_records_of_a_trial_is_told(home: Path, cli) -> None:
    words = ("sweep", *SHORT, "name=lost", "seed=1,2", "tracking.sinks=[ndjson,mlflow]")
    done = cli(home, *words, "tracking.mlflow.uri=sqlite:////proc/nothing/x.db")
    assert done.code == 0, done.err
    assert done.out.count("(mlflow: records lost)") == 2
