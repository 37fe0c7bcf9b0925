"""What happens between two steps, in this order: journal, metrics, evaluation, checkpoint, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from codex_ml.checkpointing import Checkpoint
from codex_ml.errors import Interrupted, StorageError
from codex_ml.interfaces.reporter import Reporter, TrainLine
from codex_ml.monitoring.memory import process_memory
from codex_ml.monitoring.sampler import sampling
from codex_ml.tracking.composite import CompositeTracker
from codex_ml.tracking.opening import context_of, opened
from codex_ml.training.distributed import World
from codex_ml.training.interrupt import Signals
from codex_ml.training.journal import Journal
from codex_ml.training.loop import StepInfo
from codex_ml.training.session import Session
from codex_ml.training.state import Progress
from codex_ml.training.step import Abandoned
from codex_ml.training.store import CheckpointStore

if TYPE_CHECKING:
    from codex_ml.training.engines.start import Job


class Between:
    """The work between two optimizer steps. Every worker does it; rank 0 alone writes.

    What a step still owes follows from the state alone (`settle`), so a run stopped inside an
    evaluation or before a save makes up for it when it goes on, and ends as if never stopped.
    """

    def __init__(
        self,
        session: Session,
        world: World,
        store: CheckpointStore,
        reporter: Reporter,
        signals: Signals,
        tracker: CompositeTracker | None,
        journal: Journal | None,
    ) -> None:
        self._session, self._world, self._store = session, world, store
        self._tracker, self._journal = tracker, journal
        self._reporter, self._signals = reporter, signals
        self._config, self._progress = session.config, session.trainee.progress
        self._saved_at = self._logged_at = time.perf_counter()
        self._window: list[StepInfo] = []

    @classmethod
    @contextmanager
    def opened(
        cls,
        job: Job,
        session: Session,
        world: World,
        store: CheckpointStore,
        reporter: Reporter,
        signals: Signals,
    ) -> Iterator[Between]:
        """Open journal and trackers where the state left them, and close them at the end."""
        with ExitStack() as stack:
            tracker: CompositeTracker | None = None
            journal: Journal | None = None
            progress = session.trainee.progress
            if world.is_main:
                if progress.step and not job.directory.metrics.exists():
                    reporter.say(f"{job.directory.metrics} is gone: earlier metrics of this run are lost")
                journal = Journal(
                    job.directory.journal, length=progress.journal_bytes, head=progress.journal_head
                )
                stack.callback(journal.close)
                tracker = _watched(stack, job, progress)
            stack.callback(store.abandon)
            yield cls(session, world, store, reporter, signals, tracker, journal)

    def after(self, info: StepInfo) -> None:
        """Do what is due after one step. Raises Interrupted once a signal came and the state is saved."""
        self._poll()
        self._write_journal(info)
        self._window.append(info)
        last = info.step == self._config.train.steps
        if info.step % self._config.train.log_every == 0 or last or info.skipped:
            self._write_metrics(info)
        self.settle()

    def settle(self) -> None:
        """Do what the state owes: an evaluation, a checkpoint, and what signals ask for."""
        step, progress = self._progress.step, self._progress
        last = step == self._config.train.steps or progress.stopped_early
        evaluated = False
        if self._session.evaluation_due():
            self._evaluate(step)
            evaluated = True
            last = last or progress.stopped_early
        fresh = evaluated or step != self._store.last_step
        if step and fresh and (step % self._config.checkpoint.every == 0 or last):
            self._save(scheduled=True)
        if not last and self._world.any(self._signals.stop is not None):
            raise self.interrupted()
        if self._world.any(self._signals.save):
            self._signals.save = False
            if self._save(scheduled=False):
                self._reporter.say(f"saving step {step} as SIGUSR1 asked")

    def interrupted(self) -> Interrupted:
        """Save the state of the last finished step; the error to leave with."""
        step = self._progress.step
        if step != self._store.last_step:
            self._save(scheduled=False, must=True)
        self._store.finish()
        name = self._signals.stop or "a signal to another worker"
        kept = f"after step {step}; the state is saved" if step else "before the first step"
        return Interrupted(
            f"interrupted by {name} {kept}",
            code="train.interrupted",
            next_step="run the same command again (without --fresh) to go on",
        )

    def end(self) -> Checkpoint:
        """The last checkpoint, on the disk and verified.

        Raises Interrupted when a signal came too late to stop training: what follows it can wait.
        """
        result = self._store.result()
        if self._world.any(self._signals.stop is not None):
            raise Interrupted(
                f"interrupted by {self._signals.stop or 'a signal to another worker'}; training is complete",
                code="train.interrupted",
                next_step="run the same command again for what follows training",
            )
        return result

    def _write_journal(self, info: StepInfo) -> None:
        progress = self._progress
        if self._journal is not None:
            self._journal.append(
                step=info.step,
                samples=self._session.batches.digest(info.step - 1),
                loss=info.loss,
                grad_norm=info.grad_norm,
                skipped=info.skipped is not None,
            )
            progress.journal_head, progress.journal_bytes = self._journal.head, self._journal.length

    def _write_metrics(self, info: StepInfo) -> None:
        now = time.perf_counter()
        tokens = sum(item.tokens for item in self._window)
        speed = tokens / sum(item.seconds for item in self._window)
        values = {
            "loss": info.loss,
            "grad_norm": info.grad_norm,
            "lr": info.lr,
            "tokens_per_second": speed,
            "skipped": float(self._progress.skipped),
            "memory_bytes": float(process_memory()),
        }
        if info.skipped:
            self._reporter.say(f"step {info.step} made no update: {info.skipped}")
        if self._tracker is not None:
            self._tracker.log(values, step=info.step, split="train", phase="train")
        left = self._config.train.steps - info.step
        self._reporter.train(
            TrainLine(
                step=info.step,
                steps=self._config.train.steps,
                loss=info.loss,
                lr=info.lr,
                tokens_per_second=speed,
                eta_seconds=left * (now - self._logged_at) / len(self._window),
                at_risk_seconds=now - self._saved_at,
            )
        )
        self._logged_at, self._window = now, []

    def _evaluate(self, step: int) -> None:
        values = self._session.evaluate(before_batch=self._leave_evaluation)
        if self._tracker is not None:
            self._tracker.log(values, step=step, split="validation", phase="train")
        self._reporter.say(f"step {step}: validation loss {values['loss']:.4f}")
        progress, rule = self._progress, self._config.train.early_stop
        # State is JSON, which has no infinity; a loss that is none is no gain either.
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        progress.last_evaluation = {**finite, "step": step}
        best = math.inf if progress.best_loss is None else progress.best_loss
        if values["loss"] < best - rule.min_delta:
            progress.best_loss, progress.evaluations_without_gain = values["loss"], 0
        else:
            progress.evaluations_without_gain += 1
        if rule.patience and progress.evaluations_without_gain >= rule.patience:
            progress.stopped_early = True
            self._reporter.say(f"stopping early: {rule.patience} evaluations without a better loss")
        self._logged_at = time.perf_counter()

    def _leave_evaluation(self) -> None:
        if self._world.any(self._signals.stop is not None):
            raise Abandoned

    def _poll(self, *, wait: bool = False) -> None:
        """Meet the failure of a save beside training, as the config wants."""
        try:
            if wait:
                self._store.finish()
            self._store.poll()
        except StorageError as error:
            if self._config.checkpoint.on_failure == "stop":
                raise
            self._reporter.say(f"a checkpoint could not be saved, training goes on: {error}")

    def _save(self, *, scheduled: bool, must: bool = False) -> bool:
        """Whether the save was made or begun; with *must*, its failure is never tolerated."""
        self._poll(wait=True)  # an earlier save's failure is its own, and must not stand in for this one
        try:
            if self._journal is not None and self._tracker is not None:
                self._journal.sync()
                self._tracker.sync()
            self._store.save(self._session, scheduled=scheduled)
        except StorageError as error:
            ended = self._progress.step >= self._config.train.steps or self._progress.stopped_early
            if self._config.checkpoint.on_failure == "stop" or ended or must:
                raise
            self._reporter.say(f"a checkpoint could not be saved, training goes on: {error}")
            return False
        self._saved_at = self._logged_at = time.perf_counter()
        return True


def _watched(stack: ExitStack, job: Job, progress: Progress) -> CompositeTracker:
    """The trackers of a run, and the sampler of the machine that feeds them, until the stack ends."""
    context = context_of(
        job.config,
        directory=job.directory.path,
        run_id=job.run_id,
        resume_step=progress.step,
        again=None if progress.evaluated else "validation/train",
        facts=job.facts,
        network_allowed=job.network_allowed,
    )
    tracker = stack.enter_context(opened(context))
    stack.enter_context(
        sampling(
            job.directory.path,
            run_id=job.run_id,
            every=job.config.tracking.system_every,
            step=lambda: progress.step,
            send=lambda values, step: tracker.log_system(values, step=step),
        )
    )
    return tracker
