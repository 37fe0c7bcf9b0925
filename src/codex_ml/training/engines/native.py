"""The native engine: drives the loop, and between steps writes journal, metrics and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from codex_ml.checkpointing import Checkpoint
from codex_ml.config.schema import RunConfig
from codex_ml.errors import TrainingError
from codex_ml.interfaces.reporter import Reporter
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.training.between import Between
from codex_ml.training.distributed import World
from codex_ml.training.interrupt import received
from codex_ml.training.loop import Method, run_steps
from codex_ml.training.resolve import ResolvedRun
from codex_ml.training.session import Session, build_session, restore
from codex_ml.training.state import Progress
from codex_ml.training.step import Abandoned, Order
from codex_ml.training.store import CheckpointStore

#: determinism -> in which order gradients are summed
ORDERS: Mapping[str, Order] = {"exact": "sequence", "elastic": "tree", "fast": "any"}


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


def train(
    job: Job,
    *,
    world: World,
    resume_from: Path | None,
    on_start: Callable[[int], None],
    reporter: Reporter,
) -> TrainOutcome:
    """Train to ``train.steps``, from the newest good checkpoint or from the named one.

    *on_start* is called on rank 0 with the step that training goes on from, unless it is finished
    already. Raises Interrupted after SIGTERM or SIGINT with the state saved; TrainingError when the
    guard stops the run; CheckpointLoadError when checkpoints exist and none can be trusted.
    """
    store = CheckpointStore.open(job, world=world)
    checkpoint = store.find(resume_from)
    if checkpoint is not None and finished(checkpoint, job.config):
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
    final = _drive(job, session, world=world, store=store, reporter=reporter)
    return TrainOutcome(final, start, already_finished=False)


def _drive(
    job: Job, session: Session, *, world: World, store: CheckpointStore, reporter: Reporter
) -> Checkpoint:
    if job.resolved.compile:
        reporter.say("compiling the training step; nothing moves for up to a minute")
    with received() as signals, Between.opened(job, session, world, store, reporter, signals) as between:
        try:
            between.settle()
            steps = run_steps(
                session.trainee,
                method=method_of(job.config),
                world=world,
                batch_of=session.batches,
                stop=lambda: signals.stop is not None,
            )
            for info in steps:
                between.after(info)
            return between.end()
        except Abandoned:
            raise between.interrupted() from None
        except RuntimeError as error:
            raise _named(error) from error


def method_of(config: RunConfig) -> Method:
    """What of a config makes the bits of a step."""
    return Method(
        cfg=config.train,
        seed=config.seed,
        shards=config.runtime.shards,
        order="sharded" if config.runtime.sharding == "fsdp2" else ORDERS[config.runtime.determinism],
    )


def _named(error: RuntimeError) -> Exception:
    """Say which operation has no deterministic kernel; any other error stays what it is."""
    text = " ".join(str(error).split())
    if "does not have a deterministic implementation" not in text:
        return error
    return TrainingError(
        f"{text.split(' does not')[0]} has no deterministic kernel on this device",
        code="train.nondeterministic",
        wanted="equal bits each time, as runtime.determinism asks",
        next_step="train with runtime.determinism=fast, under another name=…, without that promise",
    )


def finished(checkpoint: Checkpoint, config: RunConfig) -> bool:
    """At its last step, with the evaluation that belongs to it."""
    progress = Progress.from_dict(checkpoint.state())
    ended = progress.step >= config.train.steps or progress.stopped_early
    owed = bool(config.eval.every) and not progress.evaluated
    return ended and not owed
