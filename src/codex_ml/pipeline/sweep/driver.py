"""Take a sweep to its end: rounds of trials, each an ordinary run, some at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from codex_ml.core.paths import Home
from codex_ml.core.publish import make_directory
from codex_ml.errors import IntegrityError, Interrupted, UsageError, did_you_mean
from codex_ml.interfaces.reporter import Reporter
from codex_ml.pipeline.sweep.launch import INTERRUPTED, Job, Launcher
from codex_ml.pipeline.sweep.record import Record, Trial
from codex_ml.pipeline.sweep.search import Search
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.training.interrupt import Signals, received

_TRIES = 3


@dataclass(frozen=True)
class Place:
    """Where the trials work, and how many at a time."""

    home: Home
    config_dir: Path | None
    jobs: int
    network_allowed: bool = False


def run_sweep(record: Record, search: Search, launcher: Launcher, place: Place, reporter: Reporter) -> Record:
    """Run what is left of a sweep; trials that failed before are tried again.

    Raises Interrupted after SIGTERM or SIGINT, once every running trial has saved its state.
    """
    make_directory(record.path.parent)
    with received() as signals:
        _round(
            record,
            [trial for trial in record.trials if trial.state != "finished"],
            launcher,
            place,
            reporter,
            signals,
        )
        for trial in record.trials:
            search.tell(trial)
        while words := search.propose(record.trials):
            first = len(record.trials)
            fresh = [_trial(record, first + at, row) for at, row in enumerate(words)]
            record.add(fresh)
            _round(record, fresh, launcher, place, reporter, signals)
            for trial in record.trials[first:]:
                search.tell(trial)
    return record


def _trial(record: Record, number: int, words: Sequence[str]) -> Trial:
    return Trial(number, f"{record.asked.name}-{number:03d}", tuple(words))


def _round(
    record: Record,
    trials: Sequence[Trial],
    launcher: Launcher,
    place: Place,
    reporter: Reporter,
    signals: Signals,
) -> None:
    """Run *trials*, some at a time, and record each as it ends."""
    with ThreadPoolExecutor(place.jobs) as pool:
        running = {
            pool.submit(_run, record, trial, launcher, place, reporter, signals): trial for trial in trials
        }
        left = set(running)
        while left:
            for future in [future for future in left if future.done()]:
                left.discard(future)
                try:
                    _settle(record, running[future], *future.result(), place, reporter)
                except UsageError:
                    for waiting in left:
                        waiting.cancel()
                    launcher.stop()  # what runs saves its state
                    raise
            if signals.stop is not None:
                launcher.stop()
            time.sleep(0.05)
    if signals.stop is not None:
        raise Interrupted(
            f"interrupted by {signals.stop}; every trial that ran has saved its state",
            code="sweep.interrupted",
            next_step="run the same command again to go on",
        )


def _run(
    record: Record, trial: Trial, launcher: Launcher, place: Place, reporter: Reporter, signals: Signals
) -> tuple[int, float]:
    if signals.stop is not None:
        return INTERRUPTED, 0.0
    directory = RunDirectory(place.home.run(trial.run))
    started = time.monotonic()
    words = (*record.asked.words, *trial.words, f"name={trial.run}")
    log = record.path.parent / f"trial-{trial.number:03d}.log"
    job = Job(words, place.config_dir, place.home.root, log, network_allowed=place.network_allowed)
    for _ in range(_TRIES):
        _wait_for_orphan(trial, directory, reporter, signals)
        if _stopped(signals):
            return INTERRUPTED, time.monotonic() - started
        code = launcher.run(job)
        if code in (0, INTERRUPTED) or not (directory.busy() or _ended_elsewhere(code, directory)):
            break  # else it was only about to begin when this one did
    return code, time.monotonic() - started


def _wait_for_orphan(trial: Trial, directory: RunDirectory, reporter: Reporter, signals: Signals) -> None:
    """A trial may have outlived a sweep that was killed, and ends by itself."""
    told = False
    while directory.busy() and not _stopped(signals):
        if not told:
            reporter.say(f"trial {trial.number} waits for another process that works on {trial.run}")
            told = True
        time.sleep(0.5)


def _ended_elsewhere(code: int, directory: RunDirectory) -> bool:
    """Whether a trial that was refused as locked has a result by now, from who held the lock."""
    if code != UsageError.exit_code or not directory.manifest.is_file():
        return False
    try:
        return "result" in directory.read()
    except IntegrityError:  # the trial's own log tells of it
        return False


def _stopped(signals: Signals) -> bool:
    return signals.stop is not None


def _settle(
    record: Record, trial: Trial, code: int, seconds: float, place: Place, reporter: Reporter
) -> None:
    directory = RunDirectory(place.home.run(trial.run))
    metric, log = record.asked.metric, f"trial-{trial.number:03d}.log"
    told = " ".join(trial.words)
    if code == INTERRUPTED:
        record.change(trial.number, state="interrupted")
        return
    figures = (directory.read().get("result") or {}).get("metrics", {}) if code == 0 else {}
    if code == 0 and metric not in figures and trial.number == 0:
        record.change(trial.number, state="waiting")
        raise UsageError(
            f"the trials have no metric '{metric}'",
            code="sweep.metric",
            got=", ".join(sorted(figures)),
            next_step=did_you_mean(metric, sorted(figures)) + "; the same sweep goes on with --metric",
        )
    if code or metric not in figures:
        known = ", ".join(sorted(figures))
        fault = f"exit code {code}, see {log}" if code else f"it has no metric '{metric}' (but {known})"
        record.change(trial.number, state="failed", fault=fault, seconds=seconds)
        reporter.say(f"trial {trial.number} failed ({told}): {fault}")
        return
    value = float(figures[metric])
    if not math.isfinite(value):
        record.change(trial.number, state="failed", fault=f"its {metric} is {value}", seconds=seconds)
        reporter.say(f"trial {trial.number} failed ({told}): its {metric} is {value}")
        return
    record.change(trial.number, state="finished", value=value, seconds=seconds, fault=None)
    reporter.say(f"trial {trial.number}: {metric} {value:.5g}  ({told})")
