"""runs/<name>/: who made it, whether the same command may go on in it, and one writer at a time."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.config.identity import identity_values
from codex_ml.config.keys import to_dict
from codex_ml.config.schema import RunConfig
from codex_ml.core.digest import digest_json
from codex_ml.core.publish import fsync_path, read_json, write_json, writing
from codex_ml.errors import IntegrityError, UsageError, did_you_mean

FORMAT = 1


#: What a manifest holds, and of which type.
_PARTS = {
    "run_id": str,
    "identity": dict,
    "identity_sha256": str,
    "config": dict,
    "resolved": dict,
    "inputs": dict,
    "provenance": dict,
    "segments": list,
}


@dataclass(frozen=True)
class RunDirectory:
    """The paths of one run."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def manifest(self) -> Path:
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.ndjson"

    @property
    def evaluations(self) -> Path:
        return self.path / "eval"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def read(self) -> dict[str, Any]:
        """The run's manifest. Raises UsageError when there is none, IntegrityError for another format."""
        if not self.manifest.is_file():
            raise UsageError(
                f"there is no run in {self.path}",
                code="run.missing",
                next_step="list the runs with `codex-ml runs ls`",
            )
        record: Any = read_json(self.manifest)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise IntegrityError(
                f"{self.manifest} is of another format",
                code="run.format",
                got=record.get("format") if isinstance(record, dict) else type(record).__name__,
                wanted=FORMAT,
                next_step="use the version of codex-ml that wrote it",
            )
        for name, kind in _PARTS.items():
            if not isinstance(record.get(name), kind):
                raise IntegrityError(
                    f"{self.manifest} is damaged: '{name}' is not what it must be",
                    code="run.damaged",
                    got=type(record.get(name)).__name__,
                    wanted=kind.__name__,
                    next_step="restore the file, or start again with --fresh (which keeps this directory)",
                )
        return record

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only writer of this run; raises UsageError when another process is."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            stream = (self.path / ".lock").open("a")
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"another process is working on the run '{self.name}'",
                    code="run.locked",
                    next_step="wait for it, or choose another name=…",
                ) from error
            yield

    def archive(self) -> Path | None:
        """Move an existing run aside (``--fresh``); returns where it went."""
        if not self.path.exists():
            return None
        target = self.path.with_name(
            f"{self.name}.archived-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
        )
        with writing(self.path):
            os.rename(self.path, target)
            fsync_path(target.parent)
        return target


def open_run(
    directory: RunDirectory,
    *,
    config: RunConfig,
    resolved: Mapping[str, Any],
    inputs: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Open a run: write ``run.json`` for a new one, read that of one with the same identity.

    *inputs* are the digests of data, tokenizer and code; together with the identity keys of the
    config and the resolved run they are the identity. Raises UsageError, naming every difference,
    when the directory holds a run of another identity.
    """
    identity = {
        **{f"config.{key}": value for key, value in identity_values(config).items()},
        **{f"resolved.{key}": value for key, value in resolved.items() if key not in _NOT_IDENTITY},
        **{f"inputs.{key}": value for key, value in inputs.items()},
    }
    # A run refused before its first step left nothing that another could be confused with.
    started = directory.journal.exists() or any(directory.checkpoints.glob("*step-*"))
    if directory.manifest.exists() and started:
        record = directory.read()
        _refuse_other(directory, record["identity"], identity)
        _check_horizon(directory, record["config"], config)
        return record
    record = {
        "format": FORMAT,
        "name": directory.name,
        "run_id": uuid.uuid4().hex,
        "created": time.time(),
        "identity": identity,
        "identity_sha256": digest_json(identity),
        "config": to_dict(config),
        "resolved": dict(resolved),
        "inputs": dict(inputs),
        "provenance": dict(provenance),
        "segments": [],
    }
    write_json(directory.manifest, record)
    return record


def begin_segment(
    directory: RunDirectory,
    record: dict[str, Any],
    *,
    from_step: int,
    config: RunConfig,
    provenance: Mapping[str, Any],
) -> None:
    """Record that training goes on from a step: when, with which config, code state and environment.

    The environment is written out only where it differs from that of the run's first start.
    """
    first = record["provenance"]
    changed = {name: value for name, value in provenance.items() if value != first.get(name)}
    record["segments"].append({"started": time.time(), "from_step": from_step, "changed": changed})
    record["config"] = to_dict(config)
    write_json(directory.manifest, record)


#: Facts of the resolved run that explain a choice and cannot change a bit.
_NOT_IDENTITY = frozenset({"compile_reason", "dtype_reason", "grade", "lowered_by", "device_name"})


def _refuse_other(directory: RunDirectory, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    differing = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if not differing:
        return
    lines = ", ".join(f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in differing[:6])
    more = f" and {len(differing) - 6} more" if len(differing) > 6 else ""
    raise UsageError(
        f"the run '{directory.name}' exists and is another run",
        code="run.identity",
        got=lines + more,
        next_step="choose another name=…, restore the old values, or start again with --fresh "
        "(which moves the old run aside)",
    )


def _check_horizon(directory: RunDirectory, saved: Mapping[str, Any], config: RunConfig) -> None:
    """More steps change the shape of a decaying schedule, so they need one that has no end yet."""
    before = saved["train"]["steps"]
    if config.train.steps == before:
        return
    if config.train.steps < before or config.train.schedule.name != "constant":
        raise StepsChanged(directory.name, before, config.train.steps, config.train.schedule.name)


class StepsChanged(UsageError):
    """``train.steps`` differs and the schedule does not allow it."""

    def __init__(self, name: str, before: int, after: int, schedule: str) -> None:
        super().__init__(
            f"the run '{name}' was planned for other steps, and its schedule '{schedule}' depends on them",
            code="run.horizon",
            got=f"train.steps: {before} -> {after}",
            wanted="the same steps, or more of them under train.schedule.name=constant",
            next_step="choose another name=…, or start again with --fresh",
        )


def find_run(runs: Path, name: str) -> RunDirectory:
    """The run *name*. Raises UsageError, with the nearest name, when there is none."""
    directory = RunDirectory(runs / name)
    if directory.manifest.is_file():
        return directory
    raise UsageError(
        f"there is no run '{name}'",
        code="run.missing",
        got=str(runs),
        next_step=did_you_mean(name, list_runs(runs)),
    )


def list_runs(runs: Path) -> list[str]:
    """Names of the runs below *runs*, sorted."""
    if not runs.is_dir():
        return []
    return sorted(path.parent.name for path in runs.glob("*/run.json"))
