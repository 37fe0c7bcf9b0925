"""Run a stretch of a past run again, and name the first step and field that differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from codex_ml.checkpointing import Checkpoint
from codex_ml.checkpointing.layout import list_checkpoints, step_of
from codex_ml.checkpointing.reader import open_checkpoint
from codex_ml.config.validate import decode_saved
from codex_ml.core.paths import Home
from codex_ml.core.publish import verify_directory
from codex_ml.core.workers import is_main
from codex_ml.errors import UsageError
from codex_ml.interfaces.reporter import Reporter
from codex_ml.pipeline.context import Request, Work
from codex_ml.pipeline.parent import Parent, find_parent
from codex_ml.pipeline.prepare_stage import prepare
from codex_ml.pipeline.train_stage import asked_of, base_of, settle
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.training.distributed import World, joined
from codex_ml.training.engines.native import method_of
from codex_ml.training.journal import read_journal
from codex_ml.training.loop import StepInfo, run_steps
from codex_ml.training.resolve import resolve
from codex_ml.training.session import Session, build_session, restore
from codex_ml.training.sharded import whole_digest


@dataclass(frozen=True)
class Divergence:
    """The first field of the journal, or the weights at a checkpoint, that came out otherwise."""

    step: int
    field: str
    recorded: str
    again: str


@dataclass(frozen=True)
class Reproduction:
    """What was run again and what came of it. *environment* lists what differs from the run's identity."""

    run: str
    from_step: int
    steps: int
    checkpoints_compared: int
    environment: list[str]
    divergence: Divergence | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def reproduce(
    directory: RunDirectory, *, home: Home, from_step: int | None, steps: int | None, reporter: Reporter
) -> Reproduction:
    """Train again from a checkpoint (or the start) in memory, against the journal; writes nothing.

    *from_step*: the newest checkpoint at or before it; None: the oldest kept one. Raises UsageError
    when the run has no such steps.
    """
    record = directory.read()
    recorded = _recorded(directory)
    start = _start(directory, from_step, len(recorded))
    first = start.step if start else 0
    stretch = recorded[first:] if steps is None else recorded[first : first + steps]
    if not stretch:
        raise UsageError(
            f"the journal of '{directory.name}' has no step after {first}",
            code="reproduce.steps",
            got=f"{len(recorded)} steps",
            next_step="give --from-step an earlier step",
        )
    request = Request(config=decode_saved(record["config"]), home=home)
    if request.config.train.engine != "native":
        raise UsageError(
            f"the steps of '{directory.name}' are those of transformers' Trainer, not run again here",
            code="reproduce.engine",
            got=f"train.engine={request.config.train.engine}",
            next_step="run the same command under another name=… and compare with `codex-ml runs diff`",
        )
    work = Work(request=request, reporter=reporter, main=is_main())
    report = settle(work)
    prepare(work)
    assert work.dataset is not None
    verify_directory(work.dataset.directory)
    resolved = work.resolved = resolve(
        work.config, vocab_size=work.dataset.tokenizer.vocab_size, before=bool(record["resolved"]["compile"])
    )
    parent = find_parent(work, weights_needed=start is None)
    asked = asked_of(work, resolved, report, parent)
    sharded = work.config.runtime.sharding == "fsdp2"
    with joined(device=torch.device(resolved.device), sharded=sharded) as world:
        kept = {step_of(path): path for path in reversed(list_checkpoints(directory.checkpoints))}
        runner = _Runner(_session(work, parent, start, world), world, kept, work)
        divergence = runner.compare(stretch)
    environment = _differences(record["identity"], asked.identity())
    return Reproduction(directory.name, first, runner.done, runner.checkpoints, environment, divergence)


def _recorded(directory: RunDirectory) -> list[dict[str, Any]]:
    if not directory.journal.is_file():
        raise UsageError(
            f"the run '{directory.name}' has no journal",
            code="reproduce.steps",
            next_step="train it first, or restore the file",
        )
    return list(read_journal(directory.journal))


def _session(work: Work, parent: Parent | None, start: Checkpoint | None, world: World) -> Session:
    """The run at the step to start from."""
    assert work.dataset is not None and work.resolved is not None
    session = build_session(
        work.config,
        resolved=work.resolved,
        dataset=work.dataset.directory,
        vocab_size=work.dataset.tokenizer.vocab_size,
        world=world,
        base=base_of(work, parent),
        base_sha256=work.base.weights_sha256 if work.base else None,
    )
    if start is not None:
        restore(session, start)
    return session


def _start(directory: RunDirectory, from_step: int | None, recorded: int) -> Checkpoint | None:
    """The checkpoint to start from, verified; None: from the first weights."""
    if from_step == 0:
        return None
    found = sorted((step_of(path) or 0, path) for path in list_checkpoints(directory.checkpoints))
    limit = recorded - 1 if from_step is None else from_step
    usable = [path for step, path in found if step <= limit]
    if not usable:
        return None
    return open_checkpoint(usable[0] if from_step is None else usable[-1])


class _Runner:
    """Steps beside their records."""

    def __init__(self, session: Session, world: World, kept: dict[int | None, Path], work: Work) -> None:
        self._session, self._world, self._kept, self._work = session, world, kept, work
        self.done = self.checkpoints = 0

    def compare(self, recorded: list[dict[str, Any]]) -> Divergence | None:
        """Run as many steps as there are records; the first difference ends it."""
        for info, record in zip(islice(self._steps(), len(recorded)), recorded, strict=True):
            self.done += 1
            self._work.reporter.progress(self.done, len(recorded), "steps run again")
            found = self._of_step(info, record) or self._of_checkpoint(info.step)
            if found is not None:
                return found
        return None

    def _steps(self) -> Iterator[StepInfo]:
        return run_steps(
            self._session.trainee,
            method=method_of(self._session.config),
            world=self._world,
            batch_of=self._session.batches,
            stop=lambda: False,
        )

    def _of_step(self, info: StepInfo, record: dict[str, Any]) -> Divergence | None:
        again = {
            "step": str(info.step),
            "samples": self._session.batches.digest(info.step - 1),
            "loss": info.loss.hex(),
            "grad_norm": info.grad_norm.hex(),
            "skipped": str(info.skipped is not None),
        }
        for field, value in again.items():
            if str(record[field]) != value:
                return Divergence(info.step, field, str(record[field]), value)
        return None

    def _of_checkpoint(self, step: int) -> Divergence | None:
        path = self._kept.get(step)
        if path is None:
            return None
        self.checkpoints += 1
        trainee = self._session.trainee
        live = (
            ("weights_sha256", trainee.model.tensors()),
            ("optimizer_sha256", trainee.optimizers.tensors()),
        )
        manifest = open_checkpoint(path).manifest
        for name, part in live:
            if (again := whole_digest(part)) != manifest[name]:
                return Divergence(step, name, str(manifest[name]), again)
        return None


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
