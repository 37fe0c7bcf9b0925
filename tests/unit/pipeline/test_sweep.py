"""The driver of a sweep with a launcher that writes results at once; real trials are in tests/integration."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from codex_ml.config.compose import dimension_of
from codex_ml.core.paths import Home
from codex_ml.errors import Interrupted, UsageError
from codex_ml.interfaces.reporter import Silent
from codex_ml.pipeline.sweep.driver import Place, run_sweep
from codex_ml.pipeline.sweep.launch import INTERRUPTED, Job, slurm_parameters
from codex_ml.pipeline.sweep.record import Asked, Record, ranked
from codex_ml.pipeline.sweep.search import Grid, Sampled, Search
from codex_ml.provenance.run_directory import RunDirectory
from written_runs import write_run

pytestmark = pytest.mark.needs("train", "sweep")
VARY = ("train.lr=tag(log,interval(1e-4,1e-1))", "model.layers=interval(1,4)", "train=adamw,muon")


class AtOnce:
    """Writes a run whose loss follows from its words; *before* may make a trial end otherwise."""

    def __init__(self, home: Home, before: Callable[[str], int] = lambda _: 0) -> None:
        self.home, self.before, self.ran, self.stopped = home, before, [], False
        self.words: list[tuple[str, ...]] = []
        self._lock = threading.Lock()

    def run(self, job: Job) -> int:
        name = job.words[-1].removeprefix("name=")
        with self._lock:
            self.ran.append(name)
            self.words.append(job.words)
            if code := self.before(name):
                return code
            lr = next(float(word[9:]) for word in job.words if word.startswith("train.lr="))
            write_run(self.home, name, loss=abs(lr - 0.01))
            return 0

    def stop(self) -> None:
        self.stopped = True


def asked(**changes: object) -> Asked:
    given = {"name": "s", "words": ("experiment=tiny",), "varied": VARY, "metric": "loss"}
    return Asked(**{**given, "trials": 8, "seed": 5, "parallel": 2, **changes})  # type: ignore[arg-type]


def sweep(home: Home, what: Asked, launcher: AtOnce, *, jobs: int = 1) -> Record:
    record = Record.open(home, what)
    dimensions = [found for word in what.varied if (found := dimension_of(word)) is not None]
    path = record.path.parent / "study.db"
    search: Search = Sampled(what, dimensions, path=path, higher=False) if what.trials else Grid(dimensions)
    return run_sweep(record, search, launcher, Place(home, None, jobs), Silent())


@pytest.fixture
def homes(tmp_path: Path) -> Callable[[str], Home]:
    def make(name: str) -> Home:
        (tmp_path / name).mkdir()
        return Home(tmp_path / name)

    return make


def test_a_sampled_sweep_is_the_same_twice_and_however_many_run_at_once(homes) -> None:
    one, two = (
        sweep(home, asked(), AtOnce(home), jobs=jobs) for home, jobs in ((homes("a"), 1), (homes("b"), 2))
    )
    assert [trial.words for trial in one.trials] == [trial.words for trial in two.trials]
    assert len({trial.words for trial in one.trials}) == 8
    assert [trial.value for trial in one.trials] == [trial.value for trial in two.trials]
    layers = {word for trial in one.trials for word in trial.words if word.startswith("model.layers=")}
    assert layers <= {f"model.layers={n}" for n in (1, 2, 3, 4)}
    other = homes("c")
    assert [t.words for t in sweep(other, asked(seed=6), AtOnce(other)).trials] != [
        t.words for t in one.trials
    ]


@pytest.mark.parametrize("at", [0, 3, 7])
def test_a_sweep_interrupted_at_any_trial_goes_on_as_if_it_had_not_been(at: int, homes) -> None:
    whole = homes("whole")
    wanted = sweep(whole, asked(), AtOnce(whole)).trials
    home = homes("stopped")

    def interrupt(name: str) -> int:
        if name == f"s-{at:03d}":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            return INTERRUPTED
        return 0

    with pytest.raises(Interrupted):
        sweep(home, asked(), AtOnce(home, interrupt))
    again = AtOnce(home)
    found = sweep(home, asked(), again).trials
    assert [(t.run, t.words, t.state, t.value) for t in found] == [
        (t.run, t.words, t.state, t.value) for t in wanted
    ]
    assert f"s-{at:03d}" in again.ran and len(again.ran) <= 8 - at + 1


def test_a_failed_trial_teaches_nothing_and_is_tried_again(homes) -> None:
    home = homes("a")
    first = sweep(home, asked(), AtOnce(home, lambda name: 1 if name == "s-003" else 0))
    assert [trial.number for trial in first.trials if trial.state == "failed"] == [3]
    assert "trial-003.log" in str(first.trials[3].fault)
    assert ranked(first, higher=False)[-1].number == 3
    again = AtOnce(home)
    second = sweep(home, asked(), again)
    assert again.ran == ["s-003"] and second.trials[3].state == "finished"


def test_a_metric_that_no_trial_has_ends_the_sweep_at_the_first_and_can_be_corrected(homes) -> None:
    home, grid = homes("a"), {"trials": 0, "varied": ("train.lr=1e-3,1e-2",)}
    launcher = AtOnce(home)
    with pytest.raises(UsageError) as caught:
        sweep(home, asked(metric="bleu", **grid), launcher)
    assert caught.value.code == "sweep.metric"
    assert launcher.stopped
    record = sweep(home, asked(metric="loss", **grid), AtOnce(home))
    assert [trial.state for trial in record.trials] == ["finished", "finished"]


def test_a_trial_that_an_orphan_works_on_is_waited_for(homes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The orphan of a killed sweep may have locked its run only after the next sweep looked."""
    home = homes("a")
    looks = iter([False, True, True, False])  # free, then taken by the orphan, then free again

    class Beside(AtOnce):
        def run(self, job: Job) -> int:
            found = super().run(job)
            return 2 if len(self.ran) == 1 else found  # another process is working on the run

    monkeypatch.setattr(RunDirectory, "busy", lambda _self: next(looks, False))
    launcher = Beside(home)
    record = sweep(home, asked(trials=1), launcher)
    assert [trial.state for trial in record.trials] == ["finished"]
    assert launcher.ran == ["s-000", "s-000"]


def test_a_trial_that_an_orphan_ended_just_now_has_its_result(homes) -> None:
    """The lock was held when the trial began, and is free when the sweep looks why it was refused."""
    home = homes("a")

    class Late(AtOnce):
        def run(self, job: Job) -> int:
            found = super().run(job)
            return UsageError.exit_code if len(self.ran) == 1 else found

    launcher = Late(home)
    record = sweep(home, asked(trials=1), launcher)
    assert ([trial.state for trial in record.trials], launcher.ran) == (["finished"], ["s-000", "s-000"])


def test_a_study_of_another_space_is_refused(homes) -> None:
    home = homes("a")
    sweep(home, asked(trials=1), AtOnce(home))
    Record.open(home, asked(trials=1)).path.unlink()
    with pytest.raises(UsageError) as caught:
        sweep(home, asked(trials=1, varied=("train.lr=1e-3,1e-2",)), AtOnce(home))
    assert caught.value.code == "sweep.identity"
    assert "another space" in str(caught.value)


def test_a_metric_that_is_no_number_has_failed(homes) -> None:
    home = homes("a")

    class Diverged(AtOnce):
        def run(self, job: Job) -> int:
            name = job.words[-1].removeprefix("name=")
            write_run(self.home, name, result={"metrics": {"loss": "nan"}})  # as JSON has it
            return 0

    record = sweep(home, asked(trials=1), Diverged(home))
    assert (record.trials[0].state, record.trials[0].fault) == ("failed", "its loss is nan")


def test_a_secret_in_a_word_reaches_the_run_and_not_the_disk(homes) -> None:
    home = homes("a")
    hidden = "hunter2" + "-Zq8x"
    login = f"me:{hidden}"
    words = ("experiment=tiny", f"tracking.mlflow.uri=https://{login}@h.example")
    launcher = AtOnce(home)
    sweep(home, asked(words=words, trials=1), launcher)
    assert hidden not in (home.sweep("s") / "sweep.json").read_text(encoding="utf-8")
    assert Record.open(home, asked(words=words, trials=1)).asked.words == words
    assert hidden in " ".join(launcher.words[0])


def test_ranking_knows_the_better_end() -> None:
    from codex_ml.pipeline.sweep.record import Trial

    trials = [Trial(n, f"s-{n}", (), "finished", value) for n, value in enumerate((0.2, 0.9, 0.5))]
    record = Record(Path("sweep.json"), asked(), [*trials, Trial(3, "s-3", (), "failed")])
    assert [trial.number for trial in ranked(record, higher=True)] == [1, 2, 0, 3]
    assert [trial.number for trial in ranked(record, higher=False)] == [0, 2, 1, 3]


def test_leave_for_the_network_is_passed_on_and_nothing_else_opens_it() -> None:
    job = Job(("experiment=tiny",), None, Path("home"), Path("log"))
    assert "--allow-network" not in job.command()
    assert "--allow-network" in dataclasses.replace(job, network_allowed=True).command()
    assert job.environment()["CODEX_HOME"] == "home"


def test_parameters_of_slurm_are_pairs() -> None:
    assert slurm_parameters(["slurm_partition=gpu", "timeout_min=60"]) == {
        "slurm_partition": "gpu",
        "timeout_min": "60",
    }
    with pytest.raises(UsageError):
        slurm_parameters(["gpu"])


@pytest.mark.parametrize("content", ['{"format": 9}', "[]", '{"format": 1, "asked": {}, "trials": []}'])
def test_a_damaged_record_is_named(content: str, homes) -> None:
    home = homes("a")
    path = home.sweep("s") / "sweep.json"
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    from codex_ml.errors import IntegrityError

    with pytest.raises(IntegrityError) as caught:
        Record.read(path)
    assert caught.value.code == "sweep.damaged"
