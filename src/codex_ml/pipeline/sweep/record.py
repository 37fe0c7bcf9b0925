"""sweep.json: what a sweep was asked to do, and its trials so far. Their figures stand in their own runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from codex_ml.core.paths import Home
from codex_ml.core.publish import read_json, write_json
from codex_ml.core.redact import redact_value
from codex_ml.errors import IntegrityError, UsageError, did_you_mean
from codex_ml.provenance.run_directory import RunDirectory

FORMAT = 1


@dataclass(frozen=True)
class Asked:
    """Which words are common to all trials, what is varied and how, and what a good trial is.

    *trials* 0 goes through the grid; more are sampled with Optuna under *seed*, *parallel* of them at a time
    before any of these is judged, so that the same words propose the same trials however fast each is.
    """

    name: str
    words: tuple[str, ...]
    varied: tuple[str, ...]
    metric: str
    trials: int
    seed: int
    parallel: int

    def as_dict(self) -> dict[str, Any]:
        """For the disk and for people: without secrets that a word may hold."""
        found: dict[str, Any] = redact_value(
            {**asdict(self), "words": list(self.words), "varied": list(self.varied)}
        )
        return found


@dataclass(frozen=True)
class Trial:
    """One run of the sweep: waiting, finished, failed or interrupted; *value* is that of a finished one."""

    number: int
    run: str
    words: tuple[str, ...]
    state: str = "waiting"
    value: float | None = None
    seconds: float | None = None
    fault: str | None = None


@dataclass
class Record:
    """The state of a sweep on disk; every change is written at once."""

    path: Path
    asked: Asked
    trials: list[Trial]

    @classmethod
    def open(cls, home: Home, asked: Asked) -> Record:
        """A new record, or that of the same sweep. Raises UsageError when another has this name."""
        path = home.sweep(asked.name) / "sweep.json"
        if not path.is_file():
            return cls(path, asked, [])
        record = cls.read(path)
        old, new = record.asked.as_dict(), asked.as_dict()
        if not asked.trials and old["metric"] != new["metric"]:
            # A grid does not learn from its figures: other ones are read from the runs that are there.
            record.trials = [replace(one, state="waiting", value=None, fault=None) for one in record.trials]
            old["metric"] = new["metric"]
        if old != new:
            differing = [f"{key}: {old[key]!r} -> {new[key]!r}" for key in old if old[key] != new[key]]
            raise UsageError(
                f"the sweep '{asked.name}' exists and was asked for in other words",
                code="sweep.identity",
                got="; ".join(differing),
                next_step="choose another name=…, or give the old words to go on with it",
            )
        return cls(path, asked, record.trials)

    @classmethod
    def read(cls, path: Path) -> Record:
        """Raises UsageError when there is none, IntegrityError when it is damaged."""
        if not path.is_file():
            raise UsageError(
                f"there is no sweep '{path.parent.name}'",
                code="sweep.missing",
                got=str(path.parent.parent),
                next_step="start it with: codex-ml sweep name=NAME experiment=… train.lr=…,…",
            )
        stored: Any = read_json(path)
        try:
            if stored["format"] != FORMAT:
                raise ValueError(f"format {stored['format']}")
            given = stored["asked"]
            asked = Asked(**{**given, "words": tuple(given["words"]), "varied": tuple(given["varied"])})
            trials = [Trial(**{**row, "words": tuple(row["words"])}) for row in stored["trials"]]
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"{path} is no record of a sweep",
                code="sweep.damaged",
                got=f"{type(error).__name__}: {error}",
                next_step="move it away; the trials themselves are ordinary runs and stay",
            ) from error
        return cls(path, asked, trials)

    def judged_by(self, metric: str, home: Home) -> Record:
        """The same trials with another figure of their runs. Raises UsageError when no run has it."""
        trials: list[Trial] = []
        known: set[str] = set()
        for trial in self.trials:
            directory = RunDirectory(home.run(trial.run))
            figures = (
                (directory.read().get("result") or {}).get("metrics", {})
                if directory.manifest.is_file()
                else {}
            )
            known |= set(figures)
            trials.append(replace(trial, value=figures.get(metric)))
        if known and metric not in known:
            raise UsageError(
                f"no trial of '{self.asked.name}' has the metric '{metric}'",
                code="sweep.metric",
                next_step=did_you_mean(metric, sorted(known)),
            )
        return Record(self.path, replace(self.asked, metric=metric), trials)

    def add(self, trials: Sequence[Trial]) -> None:
        """Append new trials."""
        self.trials += trials
        self._write()

    def change(self, number: int, **values: Any) -> None:
        """Change one trial."""
        self.trials[number] = replace(self.trials[number], **values)
        self._write()

    def _write(self) -> None:
        rows = [{**asdict(trial), "words": list(trial.words)} for trial in self.trials]
        write_json(self.path, {"format": FORMAT, "asked": self.asked.as_dict(), "trials": rows})


def ranked(record: Record, *, higher: bool) -> list[Trial]:
    """The trials, the best first; those without a value last, in the order of their numbers."""
    sign = -1.0 if higher else 1.0
    return sorted(
        record.trials,
        key=lambda trial: (
            trial.value is None,
            0.0 if trial.value is None else sign * trial.value,
            trial.number,
        ),
    )
