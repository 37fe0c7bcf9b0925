"""The training loop as a generator of steps: when. How a gradient comes about is in step.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from codex_ml.config.schema import TrainConfig
from codex_ml.core.draws import draw_seed
from codex_ml.modeling.decoder import Decoder
from codex_ml.modeling.pretrained import Pretrained
from codex_ml.training.distributed import World
from codex_ml.training.guard import check_reach, objection, refuse_or_skip, remember
from codex_ml.training.optim import Optimizers
from codex_ml.training.schedule import lr_scale
from codex_ml.training.state import Progress
from codex_ml.training.step import LossFunction, MicroBatch, Order, compute_gradients


@dataclass(frozen=True)
class StepInfo:
    """One finished optimizer step (*step* counts from 1)."""

    step: int
    loss: float
    grad_norm: float
    lr: float
    tokens: int
    seconds: float
    skipped: str | None


@dataclass(frozen=True)
class Trainee:
    """The parts that a step changes."""

    model: Decoder | Pretrained
    optimizers: Optimizers
    loss_of: LossFunction
    progress: Progress


@dataclass(frozen=True)
class Method:
    """What makes a step's bits, besides the trainee and the data."""

    cfg: TrainConfig
    seed: int
    shards: int
    order: Order


def run_steps(
    trainee: Trainee,
    *,
    method: Method,
    world: World,
    batch_of: Callable[[int], Sequence[MicroBatch]],
    stop: Callable[[], bool],
) -> Iterator[StepInfo]:
    """Train from ``progress.step`` to ``cfg.steps``, yielding after each step.

    The consumer may save, evaluate or stop between two steps; setting ``progress.stopped_early``
    ends the loop. Raises TrainingError when the guard stops the run, Abandoned when *stop* asks for
    it inside a step, of which then nothing remains.
    """
    progress, cfg = trainee.progress, method.cfg
    parameters = [parameter for parameter in trainee.model.parameters() if parameter.requires_grad]
    checked = False
    while progress.step < cfg.steps and not progress.stopped_early:
        started = time.perf_counter()
        shards = batch_of(progress.step)
        scale = lr_scale(progress.step, steps=cfg.steps, cfg=cfg.schedule)

        # ---- the gradient step ----------------------------------------------------------------
        trainee.optimizers.zero_grad()
        gradients = compute_gradients(
            trainee.loss_of,
            parameters,
            shards,
            clip_norm=cfg.clip_norm,
            world=world,
            order=method.order,
            before_shard=lambda shard: seed_shard(method.seed, progress.step, shard),
            stop=stop,
        )
        if not checked:
            check_reach(trainee.model)
            checked = True
        reason = objection(gradients.loss, gradients.norm, progress=progress, cfg=cfg.guard)
        if reason is None:
            trainee.optimizers.set_scale(scale)
            trainee.optimizers.step()
        # ---------------------------------------------------------------------------------------

        if reason is None:
            remember(gradients.loss, progress=progress, cfg=cfg.guard)
        else:
            refuse_or_skip(reason, progress=progress, cfg=cfg.guard)
        progress.step += 1
        progress.micro_steps += method.shards
        progress.tokens += gradients.tokens
        progress.samples += cfg.batch_size
        yield StepInfo(
            step=progress.step,
            loss=gradients.loss,
            grad_norm=gradients.norm,
            lr=cfg.lr * scale,
            tokens=gradients.tokens,
            seconds=time.perf_counter() - started,
            skipped=reason,
        )


def seed_shard(seed: int, step: int, shard: int) -> None:
    """Every draw inside a micro-batch follows from (seed, step, shard); no stream is ever restored."""
    torch.manual_seed(draw_seed(seed, "train.shard", step, shard))
