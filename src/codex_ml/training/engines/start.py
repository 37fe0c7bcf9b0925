"""What both engines do around their steps: find the state, build the session, come back with the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from codex_ml.checkpointing import Checkpoint
from codex_ml.config.schema import RunConfig
from codex_ml.interfaces.reporter import Reporter
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.training.between import Between
from codex_ml.training.distributed import World
from codex_ml.training.interrupt import Signals, received
from codex_ml.training.resolve import ResolvedRun
from codex_ml.training.session import Session, build_session, restore
from codex_ml.training.state import Progress
from codex_ml.training.step import Abandoned
from codex_ml.training.store import CheckpointStore


@dataclass(frozen=True)
class TrainOutcome:
    """Where training ended."""

    checkpoint: Checkpoint
    resumed_from: int | None
    already_finished: bool


@dataclass(frozen=True)
class Job:
    """One training run: what, on which data, where."""

    config: RunConfig
    resolved: ResolvedRun
    dataset: Path
    vocab_size: int
    directory: RunDirectory
    run_id: str
    facts: Mapping[str, str]
    base: Path | None = None
    base_sha256: str | None = None
    network_allowed: bool = False


#: Takes a session from its present step to the last one, handing each step to `Between`. It may raise
#: Abandoned for a step, or an evaluation, that a signal left.
Drive = Callable[[Job, Session, Between, Signals, World], None]


def run_engine(
    job: Job,
    *,
    drive: Drive,
    world: World,
    resume_from: Path | None,
    on_start: Callable[[int], None],
    reporter: Reporter,
) -> TrainOutcome:
    """Train to ``train.steps`` by *drive*, from the newest good checkpoint or from the named one.

    *on_start* is called on rank 0 with the step that training goes on from, unless it is finished
    already. Raises Interrupted after SIGTERM or SIGINT with the state saved; TrainingError when the
    guard stops the run; CheckpointLoadError when checkpoints exist and none can be trusted.
    """
    store = CheckpointStore.open(job, world=world)
    checkpoint = store.find(resume_from)
    if checkpoint is not None and _finished(checkpoint, job.config):
        return TrainOutcome(checkpoint, checkpoint.step, already_finished=True)
    session = build_session(
        job.config,
        resolved=job.resolved,
        dataset=job.dataset,
        vocab_size=job.vocab_size,
        world=world,
        base=job.base,
        base_sha256=job.base_sha256,
    )
    if checkpoint is not None:
        restore(session, checkpoint)
        reporter.say(f"going on from step {checkpoint.step} ({checkpoint.path.name})")
    start = None if checkpoint is None else checkpoint.step
    if world.is_main:
        on_start(start or 0)
    if job.resolved.compile:
        reporter.say("compiling the training step; nothing moves for up to a minute")
    with received() as signals, Between.opened(job, session, world, store, reporter, signals) as between:
        try:
            between.settle()
            drive(job, session, between, signals, world)
            return TrainOutcome(between.end(), start, already_finished=False)
        except Abandoned:
            raise between.interrupted() from None


def _finished(checkpoint: Checkpoint, config: RunConfig) -> bool:
    """At its last step, with the evaluation that belongs to it."""
    progress = Progress.from_dict(checkpoint.state())
    ended = progress.step >= config.train.steps or progress.stopped_early
    owed = bool(config.eval.every) and not progress.evaluated
    return ended and not owed
