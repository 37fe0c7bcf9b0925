"""The native engine: drives the loop, and between steps writes journal, metrics and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from codex_ml.config.schema import RunConfig
from codex_ml.errors import TrainingError
from codex_ml.interfaces.reporter import Reporter
from codex_ml.training.between import Between
from codex_ml.training.distributed import World
from codex_ml.training.engines.start import Job, TrainOutcome, run_engine
from codex_ml.training.interrupt import Signals
from codex_ml.training.loop import Method, run_steps
from codex_ml.training.session import Session
from codex_ml.training.step import Order

#: determinism -> in which order gradients are summed
ORDERS: Mapping[str, Order] = {"exact": "sequence", "elastic": "tree", "fast": "any"}


def train(
    job: Job,
    *,
    world: World,
    resume_from: Path | None,
    on_start: Callable[[int], None],
    reporter: Reporter,
) -> TrainOutcome:
    """Train by the project's own loop; see `run_engine`."""
    return run_engine(
        job, drive=_drive, world=world, resume_from=resume_from, on_start=on_start, reporter=reporter
    )


def _drive(job: Job, session: Session, between: Between, signals: Signals, world: World) -> None:
    steps = run_steps(
        session.trainee,
        method=method_of(job.config),
        world=world,
        batch_of=session.batches,
        stop=lambda: signals.stop is not None,
    )
    try:
        for info in steps:
            between.after(info)
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
