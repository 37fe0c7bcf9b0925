"""The engine ``hf``: transformers' Trainer on the same data, masks, schedule and seeds.

Trainer runs forward, backward, accumulation, clipping and the update. Everything around a step is the
project's: the order of data, the seed of each micro-batch, journal, metrics, evaluation, checkpoints.
So a run may be held against the native engine step by step, and resumes as exactly.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler, SequentialSampler

from codex_ml.core.labels import IGNORE
from codex_ml.core.optional import require
from codex_ml.errors import UsageError
from codex_ml.interfaces.reporter import Reporter
from codex_ml.modeling.pretrained import Pretrained
from codex_ml.objectives.lm import lm_loss
from codex_ml.training.between import Between
from codex_ml.training.distributed import World
from codex_ml.training.engines.start import Job, TrainOutcome, run_engine
from codex_ml.training.guard import check_reach, objection, refuse_or_skip, remember
from codex_ml.training.interrupt import Signals
from codex_ml.training.loop import StepInfo, seed_shard
from codex_ml.training.schedule import lr_scale
from codex_ml.training.session import Session
from codex_ml.training.step import MicroBatch


def run_hf_trainer(
    job: Job,
    *,
    world: World,
    resume_from: Path | None,
    on_start: Callable[[int], None],
    reporter: Reporter,
) -> TrainOutcome:
    """As the native engine's `train`, with transformers' Trainer for the steps.

    Raises UsageError under torchrun, TrainingError when the guard objects to a step, Interrupted after
    a signal with the state of the last finished step saved.
    """
    if world.size > 1:
        raise UsageError(
            "train.engine=hf runs in one process",
            code="train.engine",
            got=f"{world.size} workers",
            next_step="use train.engine=native, or start it without torchrun",
        )
    return run_engine(
        job, drive=_drive, world=world, resume_from=resume_from, on_start=on_start, reporter=reporter
    )


def _drive(job: Job, session: Session, between: Between, _signals: Signals, _world: World) -> None:
    progress = session.trainee.progress
    if progress.step < job.config.train.steps and not progress.stopped_early:
        with tempfile.TemporaryDirectory(prefix="codex-hf-") as scratch:
            _trainer(session, between, Path(scratch)).train()


class _Rows(Dataset[MicroBatch]):
    """Every micro-batch from the present step on, in the order of the seed."""

    def __init__(self, session: Session) -> None:
        self._batches, self._shards = session.batches, session.config.runtime.shards
        self._first = session.trainee.progress.step
        self._steps = session.config.train.steps - self._first

    def __len__(self) -> int:
        return self._steps * self._shards

    def __getitem__(self, index: int) -> MicroBatch:
        step, shard = divmod(index, self._shards)
        return self._batches(self._first + step)[shard]


def _one(batch: list[MicroBatch]) -> dict[str, Any]:
    (micro,) = batch
    found = {"input_ids": micro.inputs_BT, "labels": micro.labels_BT, "shard": micro.shard}
    return found if micro.positions_BT is None else {**found, "positions": micro.positions_BT}


def _trainer(session: Session, between: Between, scratch: Path) -> Any:
    """A Trainer whose steps are those of the session."""
    transformers = require("transformers", extra="train")
    require("accelerate", extra="train")
    logging.getLogger("transformers.trainer").setLevel(logging.ERROR)
    cfg = session.config.train
    arguments = transformers.TrainingArguments(
        output_dir=str(scratch),
        max_steps=cfg.steps - session.trainee.progress.step,
        per_device_train_batch_size=1,  # an item of the data set is a whole micro-batch
        gradient_accumulation_steps=session.config.runtime.shards,
        max_grad_norm=cfg.clip_norm,
        use_cpu=session.device.type == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=session.config.seed % (1 << 32),
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one process, one device: the session's
    (optimizer,) = session.trainee.optimizers.parts
    trainer = _trainer_class(transformers)(
        model=_net(session),
        args=arguments,
        train_dataset=_Rows(session),
        data_collator=_one,
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)),
    )
    trainer.model_accepts_loss_kwargs = True
    trainer.own = _Step(session, between)
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(_callback_class(transformers)(trainer.own))
    return trainer


def _net(session: Session) -> Any:
    model = session.trainee.model
    assert isinstance(model, Pretrained)
    return model.net


@dataclass
class _Step:
    """What Trainer's own step leaves to be known of it, and what is done with it."""

    session: Session
    between: Between
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    norm: float = 0.0
    began: float = 0.0

    def begin(self, batches: list[dict[str, Any]]) -> Tensor:
        """Set the learning rate; the trained tokens of the whole step."""
        tokens = torch.stack([(batch["labels"] != IGNORE).sum() for batch in batches]).sum()
        self.tokens, self.losses, self.began = int(tokens), [], time.perf_counter()
        self.session.trainee.optimizers.set_scale(self._scale())
        return tokens

    def _scale(self) -> float:
        progress, cfg = self.session.trainee.progress, self.session.config.train
        return lr_scale(progress.step, steps=cfg.steps, cfg=cfg.schedule)

    def seed(self, shard: int) -> None:
        """The same draws as in the native engine."""
        seed_shard(self.session.config.seed, self.session.trainee.progress.step, shard)

    def loss_of(self, model: Any, inputs: dict[str, Any], tokens: Tensor) -> Tensor:
        """The sum over a micro-batch, divided by the trained tokens of the whole step."""
        positions, own = inputs.get("positions"), self.session.trainee.model
        assert isinstance(own, Pretrained)
        named = {} if positions is None else {"position_ids": positions, "document_positions": positions}
        with own.precision():
            logits_BTV = model(inputs["input_ids"], use_cache=False, **named).logits
        loss = lm_loss(logits_BTV, inputs["labels"])
        self.losses.append(float(loss.detach()))
        return loss / tokens

    def judge(self) -> None:
        """Raise TrainingError for a step that must not become an update."""
        check_reach(self.session.trainee.model)
        loss, cfg = sum(self.losses) / self.tokens, self.session.config.train.guard
        progress = self.session.trainee.progress
        reason = objection(loss, self.norm, progress=progress, cfg=cfg)
        if reason is not None:
            refuse_or_skip(reason, progress=progress, cfg=cfg)
        remember(loss, progress=progress, cfg=cfg)

    def finish(self) -> bool:
        """Count the step and do what is due after it; whether training is over."""
        progress, config = self.session.trainee.progress, self.session.config
        scale = self._scale()
        progress.step += 1
        progress.micro_steps += config.runtime.shards
        progress.tokens += self.tokens
        progress.samples += config.train.batch_size
        self.between.after(
            StepInfo(
                step=progress.step,
                loss=sum(self.losses) / self.tokens,
                grad_norm=self.norm,
                lr=config.train.lr * scale,
                tokens=self.tokens,
                seconds=time.perf_counter() - self.began,
                skipped=None,
            )
        )
        return progress.stopped_early


def _trainer_class(transformers: Any) -> type[Any]:
    class StepTrainer(transformers.Trainer):  # type: ignore[misc]
        """Trainer with the project's order, seeds and loss; ``own`` is the step."""

        own: _Step

        def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
            return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

        def get_batch_samples(self, epoch_iterator: Iterator[Any], *rest: Any) -> tuple[list[Any], Tensor]:
            samples, _ = super().get_batch_samples(epoch_iterator, *rest)
            return samples, self.own.begin(samples)

        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any) -> Tensor:
            self.own.seed(int(inputs.pop("shard")))
            found: Tensor = super().training_step(model, inputs, *rest)
            return found

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            _return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Tensor:
            return self.own.loss_of(model, inputs, num_items_in_batch)

        def _clip_grad_norm(self, model: Any) -> Any:
            norm = super()._clip_grad_norm(model)
            self.own.norm = float(norm)
            return norm

    return StepTrainer


def _callback_class(transformers: Any) -> type[Any]:
    class Around(transformers.TrainerCallback):  # type: ignore[misc]
        """Hands each step to the project: before the update and after it."""

        def __init__(self, own: _Step) -> None:
            self.own = own

        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            self.own.judge()

        def on_step_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> Any:
            control.should_training_stop = self.own.finish() or control.should_training_stop
            return control

    return Around
