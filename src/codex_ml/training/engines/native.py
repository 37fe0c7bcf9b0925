"""The native engine: drives the loop, and between steps writes journal, metrics and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from codex_ml.checkpointing import Checkpoint, CheckpointManager
from codex_ml.config.schema import RunConfig
from codex_ml.errors import Interrupted
from codex_ml.interfaces.reporter import Reporter, TrainLine
from codex_ml.monitoring.memory import process_memory
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.tracking.composite import CompositeTracker, open_trackers
from codex_ml.training.interrupt import StopRequest, stop_requests
from codex_ml.training.journal import Journal
from codex_ml.training.loop import StepInfo, run_steps
from codex_ml.training.resolve import ResolvedRun
from codex_ml.training.session import Session, build_session, restore, save


@dataclass(frozen=True)
class TrainOutcome:
    """Where training ended."""

    checkpoint: Checkpoint
    resumed_from: int | None
    already_finished: bool


def train(
    config: RunConfig,
    *,
    resolved: ResolvedRun,
    dataset: Path,
    vocab_size: int,
    directory: RunDirectory,
    run_id: str,
    resume_from: Path | None,
    on_start: Callable[[int], None],
    reporter: Reporter,
) -> TrainOutcome:
    """Train to ``train.steps``, from the newest good checkpoint or from the named one.

    *on_start* is called with the step that training goes on from, unless it is finished already.

    Raises Interrupted after SIGTERM or SIGINT with the state saved; TrainingError when the guard
    stops the run; CheckpointLoadError when checkpoints exist and none can be trusted.
    """
    manager = CheckpointManager(
        directory.checkpoints,
        keep_last=config.checkpoint.keep_last,
        keep_best=config.checkpoint.keep_best,
    )
    checkpoint = manager.resume_from(resume_from) if resume_from else manager.load_latest()
    if checkpoint is not None and _finished(checkpoint, config):
        return TrainOutcome(checkpoint, checkpoint.step, already_finished=True)
    session = build_session(config, resolved=resolved, dataset=dataset, vocab_size=vocab_size)
    start: int | None = None
    if checkpoint is not None:
        restore(session, checkpoint)
        start = checkpoint.step
        reporter.say(f"going on from step {start} ({checkpoint.path.name})")
    progress = session.trainee.progress
    on_start(progress.step)
    tracker = open_trackers(
        config.tracking.sinks, run_directory=directory.path, run_id=run_id, resume_step=progress.step
    )
    journal = Journal(directory.journal, resume_step=progress.step, head=progress.journal_head)
    if resolved.compile:
        reporter.say("compiling the training step; nothing moves for up to a minute")
    try:
        with stop_requests() as request:
            work = _Between(session, manager, tracker, journal, reporter, request)
            for info in run_steps(session.trainee, cfg=config.train, batch_of=session.batches):
                work.after(info)
            final = work.saved or save(session, manager)
    finally:
        journal.close()
        tracker.close()
    return TrainOutcome(final, start, already_finished=False)


def _finished(checkpoint: Checkpoint, config: RunConfig) -> bool:
    return checkpoint.step >= config.train.steps or bool(checkpoint.state()["stopped_early"])


class _Between:
    """What happens between two steps, in this order: journal, metrics, evaluation, checkpoint, stop."""

    def __init__(
        self,
        session: Session,
        manager: CheckpointManager,
        tracker: CompositeTracker,
        journal: Journal,
        reporter: Reporter,
        request: StopRequest,
    ) -> None:
        self._session, self._manager = session, manager
        self._tracker, self._journal = tracker, journal
        self._reporter, self._request = reporter, request
        self._config, self._progress = session.config, session.trainee.progress
        self._saved_at = self._logged_at = time.perf_counter()
        self._window: list[StepInfo] = []
        self.saved: Checkpoint | None = None

    def after(self, info: StepInfo) -> None:
        """Do what is due after one step. Raises Interrupted once a signal came and the state is saved."""
        self.saved = None
        self._write_journal(info)
        self._window.append(info)
        last = info.step == self._config.train.steps
        if info.step % self._config.train.log_every == 0 or last or info.skipped:
            self._write_metrics(info)
        every = self._config.eval.every
        if every and (info.step % every == 0 or last):
            self._evaluate(info.step)
        last = last or self._progress.stopped_early
        if info.step % self._config.checkpoint.every == 0 or last or self._request.signal:
            self._save()
        if self._request.signal and not last:
            raise Interrupted(
                f"interrupted by {self._request.signal} after step {info.step}; the state is saved",
                code="train.interrupted",
                next_step="run the same command again to go on",
            )

    def _write_journal(self, info: StepInfo) -> None:
        self._journal.append(
            step=info.step,
            samples=self._session.batches.digest(info.step - 1),
            loss=info.loss,
            grad_norm=info.grad_norm,
            skipped=info.skipped is not None,
        )
        self._progress.journal_head = self._journal.head

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
        values = self._session.evaluate()
        self._tracker.log(values, step=step, split="validation", phase="train")
        self._reporter.say(f"step {step}: validation loss {values['loss']:.4f}")
        progress, rule = self._progress, self._config.train.early_stop
        progress.last_evaluation = {**values, "step": step}
        if progress.best_loss is None or values["loss"] < progress.best_loss - rule.min_delta:
            progress.best_loss, progress.evaluations_without_gain = values["loss"], 0
        else:
            progress.evaluations_without_gain += 1
        if rule.patience and progress.evaluations_without_gain >= rule.patience:
            progress.stopped_early = True
            self._reporter.say(f"stopping early: {rule.patience} evaluations without a better loss")
        self._logged_at = time.perf_counter()

    def _save(self) -> None:
        self._journal.sync()
        self.saved = save(self._session, self._manager)
        self._saved_at = self._logged_at = time.perf_counter()
