"""Open a run: write run.json for a new one, or see that this is the same run, and record each start."""

from __future__ import annotations

import dataclasses
import functools
import operator
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codex_ml.config.identity import identity_values
from codex_ml.config.keys import to_dict
from codex_ml.config.schema import RunConfig
from codex_ml.core.digest import digest_json
from codex_ml.core.publish import make_directory, write_file
from codex_ml.core.redact import redact_value
from codex_ml.errors import UsageError, did_you_mean
from codex_ml.provenance.facts import changes_since, removed_since
from codex_ml.provenance.pseudonyms import shortened
from codex_ml.provenance.run_directory import FORMAT, RunDirectory

#: Facts of the resolved run that explain a choice and cannot change a bit.
_NOT_IDENTITY = frozenset({"compile_reason", "dtype_reason", "grade", "lowered_by", "device_name"})
#: Where files of a run are found again; a home directory in them is written as ``~``.
_PATHS = ("data.path", "data.template", "model.path", "model.lora.path", "tokenizer.path", "train.init_from")


@dataclass(frozen=True)
class Asked:
    """What a call wants to run, as far as a run's identity and record go.

    *inputs* are the digests of data, tokenizer, code and initial weights; *parents* the runs that
    they come from. *files* (relative path -> text) are what *provenance* speaks of and is too long for it.
    """

    config: RunConfig
    resolved: Mapping[str, Any]
    inputs: Mapping[str, Any]
    provenance: Mapping[str, Any]
    parents: Sequence[Mapping[str, Any]] = ()
    resume_from: str | None = None
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def recorded_config(self) -> Any:
        """The config as it is written down: a secret in it (an address with a password) is not.

        What is part of the identity stands here as there, for the run is evaluated and reproduced by it.
        """
        recorded = redact_value(to_dict(self.config))
        for key, value in identity_values(self.config).items():
            section, name = _place(recorded, key)
            section[name] = redact_value(value, key, known=False)
        for key in _PATHS:
            section, name = _place(recorded, key)
            section[name] = section[name] and shortened(section[name])
        return recorded

    def identity(self) -> dict[str, Any]:
        """Everything that can change a bit of the result, whatever this process was given as secrets."""
        left_out = _NOT_IDENTITY if self._workers_matter() else _NOT_IDENTITY | {"workers"}
        return {
            **{
                f"config.{key}": redact_value(value, key, known=False)
                for key, value in identity_values(self.config).items()
            },
            **{f"resolved.{key}": value for key, value in self.resolved.items() if key not in left_out},
            **{f"inputs.{key}": value for key, value in self.inputs.items()},
        }

    def _workers_matter(self) -> bool:
        runtime = self.config.runtime
        return runtime.determinism == "exact" and runtime.sharding == "none"


def _place(config: Any, key: str) -> tuple[Any, str]:
    """The section that holds a dotted key, and the key's own name there."""
    *above, name = key.split(".")
    return functools.reduce(operator.getitem, above, config), name


#: (steps before, steps now, steps done) -> whether the schedule was the same so far
MayGrow = Callable[[int, int, int], bool]


def open_run(
    directory: RunDirectory, asked: Asked, *, accept: Sequence[str] = (), may_grow: MayGrow
) -> dict[str, Any]:
    """The run's record: a new one is written, one of the same identity is read.

    A field named in *accept* may differ; the change is recorded and lowers the grade. Raises
    UsageError, naming every difference, when the directory holds a run of another identity.
    """
    identity = asked.identity()
    _check_accepted(accept, identity)
    # A run refused before its first step left nothing that another could be confused with.
    started = directory.journal.exists() or any(directory.checkpoints.glob("*step-*"))
    if directory.manifest.exists() and started:
        record = directory.read()
        changes = _changes(directory, record["identity"], identity, accept)
        _check_horizon(directory, record["config"], asked.config, may_grow)
        if changes:
            record["accepted"] = [*record.get("accepted", []), *changes]
            record["identity"], record["identity_sha256"] = identity, digest_json(identity)
            record["resolved"], record["inputs"] = dict(asked.resolved), dict(asked.inputs)
        return record
    record = {
        "format": FORMAT,
        "name": directory.name,
        "run_id": uuid.uuid4().hex,
        "created": time.time(),
        "identity": identity,
        "identity_sha256": digest_json(identity),
        "config": asked.recorded_config(),
        "resolved": dict(asked.resolved),
        "inputs": dict(asked.inputs),
        "parents": [dict(parent) for parent in asked.parents],
        "provenance": dict(asked.provenance),
        "accepted": [],
        "segments": [],
    }
    directory.write(record)
    return record


def begin_segment(directory: RunDirectory, record: dict[str, Any], asked: Asked, *, from_step: int) -> None:
    """Record that training goes on from a step: when, with which config, code state and environment.

    Code and environment are written out only where they differ from those of the run's first start. Another
    number of workers where it changes bits is a downgrade, and lowers the grade for good.
    """
    for name, text in asked.files.items():
        make_directory((directory.path / name).parent)
        write_file(directory.path / name, text)
    workers = int(asked.resolved["workers"])
    segment: dict[str, Any] = {
        "started": time.time(),
        "from_step": from_step,
        "workers": workers,
        "resume_from": asked.resume_from,
        "lowered_by": list(asked.resolved["lowered_by"]),
        "changed": changes_since(record["provenance"], asked.provenance),
        "removed": removed_since(record["provenance"], asked.provenance),
        "downgrades": [],
    }
    before = record["segments"][-1]["workers"] if record["segments"] and from_step else workers
    if downgrade := _downgrade(before, asked):
        segment["downgrades"].append(downgrade)
    record["segments"].append(segment)
    record.pop("files", None)
    record["config"] = asked.recorded_config()
    record["resolved"] = {**record["resolved"], **_graded(record, asked)}
    directory.write(record)


def lowered_since(record: Mapping[str, Any]) -> list[str]:
    """All that has lowered the grade of a run: settings of any start, accepted changes, worker counts."""
    accepted = [f"accepted change of {row['field']}" for row in record.get("accepted", [])]
    segments = record["segments"]
    earlier = [text for segment in segments for text in segment.get("lowered_by", [])]
    downgrades = [text for segment in segments for text in segment.get("downgrades", [])]
    return list(dict.fromkeys([*earlier, *accepted, *downgrades]))


def grade_of(record: Mapping[str, Any], asked: Asked) -> str:
    """The grade that a start will have: that of its own settings, unless the run was lowered before."""
    segments = record["segments"]
    downgrade = segments and _downgrade(segments[-1]["workers"], asked)
    return "statistical" if downgrade or lowered_since(record) else str(asked.resolved["grade"])


def _downgrade(before: int, asked: Asked) -> str | None:
    workers = int(asked.resolved["workers"])
    if before == workers or asked.config.runtime.determinism == "elastic":
        return None
    return f"workers {before} -> {workers}"


def _graded(record: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    since = lowered_since(record)
    if not since:
        return {"grade": asked.resolved["grade"], "lowered_by": asked.resolved["lowered_by"]}
    return {"grade": "statistical", "lowered_by": since}


def _check_accepted(accept: Sequence[str], identity: Mapping[str, Any]) -> None:
    for field in accept:
        if not any(_names(field, key) for key in identity):
            raise UsageError(
                f"--accept-change names no field of a run's identity: {field}",
                code="usage.accept-change",
                next_step=did_you_mean(field, identity),
            )


def _names(field: str, key: str) -> bool:
    """Whether a person's *field* is the identity's *key*; the config's part may go without its prefix."""
    return field == key or f"config.{field}" == key


def _changes(
    directory: RunDirectory, old: Mapping[str, Any], new: Mapping[str, Any], accept: Sequence[str]
) -> list[dict[str, Any]]:
    differing = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    refused = [key for key in differing if not any(_names(field, key) for field in accept)]
    if refused:
        lines = ", ".join(f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in refused[:6])
        more = f" and {len(refused) - 6} more" if len(refused) > 6 else ""
        raise UsageError(
            f"the run '{directory.name}' exists and is another run",
            code="run.identity",
            got=lines + more,
            next_step="choose another name=…, restore the old values, start again with --fresh (which moves "
            f"the old run aside), or go on all the same with --accept-change {refused[0]}",
        )
    now = time.time()
    return [{"field": key, "old": old.get(key), "new": new.get(key), "accepted": now} for key in differing]


def _check_horizon(
    directory: RunDirectory, saved: Mapping[str, Any], config: RunConfig, may_grow: MayGrow
) -> None:
    """Other steps may change the schedule; what was trained must have seen the one that is asked."""
    before, after = int(saved["train"]["steps"]), config.train.steps
    done = directory.newest_step()
    if after == before or (after >= done and may_grow(before, after, done)):
        return
    raise UsageError(
        f"the run '{directory.name}' was planned for other steps, and its {done} steps followed that plan",
        code="run.horizon",
        got=f"train.steps: {before} -> {after} under train.schedule.name={config.train.schedule.name}",
        wanted="the same steps, or more of them where the learning rate so far stays what it was",
        next_step=f"go on in a new run with name=… train.init_from={directory.name}, or choose --fresh",
    )
