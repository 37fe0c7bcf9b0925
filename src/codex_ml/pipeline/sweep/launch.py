"""Run one trial in a process of its own: here, or as a job of SLURM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from codex_ml.core.optional import require
from codex_ml.errors import UsageError

INTERRUPTED = 75


@dataclass(frozen=True)
class Job:
    """The words of a run, where it works, and where its voice goes."""

    words: tuple[str, ...]
    config_dir: Path | None
    home: Path
    log: Path
    network_allowed: bool = False

    def command(self) -> list[str]:
        options = [] if self.config_dir is None else ["--config-dir", str(self.config_dir)]
        if self.network_allowed:
            options.append("--allow-network")
        return [sys.executable, "-m", "codex_ml", "pipeline", "run", "--quiet", *options, *self.words]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "CODEX_HOME": str(self.home)}


class Launcher(Protocol):
    """Runs jobs; `run` may be called from several threads."""

    def run(self, job: Job) -> int:
        """Run *job* to its end; its exit code."""
        ...

    def stop(self) -> None:
        """Ask everything that runs to save and leave."""
        ...


def work(job: Job) -> int:
    """Run *job* in this process's place, for a launcher that has moved there already."""
    with job.log.open("ab") as log:
        done = subprocess.run(job.command(), stdout=log, stderr=log, env=job.environment(), check=False)
        return done.returncode


class Local:
    """Child processes on this machine."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, job: Job) -> int:
        with job.log.open("ab") as log:
            with self._lock:
                if self._stopped:
                    return INTERRUPTED
                # A group of its own: Ctrl-C reaches the sweep, which then stops each child once.
                child = subprocess.Popen(
                    job.command(), stdout=log, stderr=log, env=job.environment(), start_new_session=True
                )
                self._running.add(child)
            try:
                return child.wait()
            finally:
                with self._lock:
                    self._running.discard(child)

    def stop(self) -> None:
        with self._lock:
            # Once: a second signal would meet a process that is on its way out, and end it unsaved.
            running, self._stopped = (set() if self._stopped else self._running), True
            for child in running:
                child.send_signal(signal.SIGTERM)


class Submitted:
    """Jobs of submitit: SLURM, or its stand-in for tests, processes on this machine."""

    def __init__(self, folder: Path, *, cluster: str, parameters: Mapping[str, str]) -> None:
        submitit = require("submitit", extra="sweep")
        self._executor: Any = submitit.AutoExecutor(folder=folder, cluster=cluster)
        try:
            self._executor.update_parameters(**{key: _value(text) for key, text in parameters.items()})
        except (NameError, TypeError, ValueError) as error:
            raise UsageError(
                "submitit takes no such parameter",
                code="sweep.slurm",
                got=str(error),
                next_step="name them as submitit does: --slurm slurm_partition=gpu --slurm timeout_min=60",
            ) from error
        self._jobs: list[Any] = []
        self._lock, self._stopped = threading.Lock(), False

    def run(self, job: Job) -> int:
        with self._lock:
            submitted = self._executor.submit(work, job)
            self._jobs.append(submitted)
        try:
            return int(submitted.result())
        except Exception as error:  # noqa: BLE001 - a cluster loses jobs in many ways; each ends one trial only
            with job.log.open("a", encoding="utf-8") as log:
                log.write(f"the job did not end by itself: {type(error).__name__}: {error}\n")
            return INTERRUPTED if self._stopped else 1

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for job in self._jobs:
                if not job.done():
                    job.cancel(check=False)


def _value(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def slurm_parameters(words: Sequence[str]) -> dict[str, str]:
    """``key=value`` words. Raises UsageError for another form."""
    for word in words:
        if not word.partition("=")[2]:
            raise UsageError(
                "--slurm wants key=value",
                code="usage",
                got=word,
                next_step="as in --slurm slurm_partition=gpu",
            )
    return dict(word.split("=", 1) for word in words)
