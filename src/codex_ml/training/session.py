"""Everything one training run needs, built from its config and, when there is one, its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from codex_ml.checkpointing import Checkpoint, CheckpointManager
from codex_ml.config.schema import RunConfig
from codex_ml.data.packed import PackedSplit
from codex_ml.errors import CheckpointLoadError, DataError
from codex_ml.evaluation.score import row_scorer, score_split
from codex_ml.metrics import perplexity
from codex_ml.modeling.init import initialise
from codex_ml.registry import registry_for
from codex_ml.training.allocator import keep_freed_memory
from codex_ml.training.batches import StepBatches
from codex_ml.training.compiled import training_loss
from codex_ml.training.loop import Trainee
from codex_ml.training.optim import Optimizers
from codex_ml.training.resolve import ResolvedRun
from codex_ml.training.state import Progress


@dataclass(frozen=True)
class Session:
    """The parts of a training run."""

    config: RunConfig
    trainee: Trainee
    batches: StepBatches
    validation: PackedSplit | None
    device: torch.device

    def evaluate(self) -> dict[str, float]:
        """Validation loss and perplexity on at most ``eval.max_rows`` rows."""
        assert self.validation is not None
        model = self.trainee.model
        model.eval()
        score = score_split(
            row_scorer(model),
            self.validation,
            batch_size=self.config.eval.batch_size,
            max_rows=self.config.eval.max_rows,
            device=self.device,
        )
        model.train()
        return {"loss": score.loss, "perplexity": perplexity(score.loss)}


def build_session(config: RunConfig, *, resolved: ResolvedRun, dataset: Path, vocab_size: int) -> Session:
    """A run at step 0: model with its seeded weights, optimizers, data.

    Raises DataError when the train split has fewer rows than one batch.
    """
    device = torch.device(resolved.device)
    keep_freed_memory()
    model = registry_for("models").get(config.model.name)(
        config.model, vocab_size=vocab_size, compute_dtype=resolved.torch_dtype
    )
    initialise(model, seed=config.seed)
    model.to(device)
    model.recompute = config.train.activation_checkpointing
    objective = registry_for("objectives").get(config.objective.name)
    train = PackedSplit.open(dataset, "train")
    if train.rows < config.train.batch_size:
        raise DataError(
            "the train split is smaller than one batch",
            code="data.too-small",
            got=f"{train.rows} rows of {config.model.context} tokens",
            wanted=f"at least train.batch_size={config.train.batch_size}",
            next_step="add data, or lower train.batch_size or model.context",
        )
    trainee = Trainee(
        model=model,
        optimizers=Optimizers(model, cfg=config.train),
        loss_of=training_loss(model, objective, compiled=resolved.compile),
        progress=Progress(),
    )
    return Session(
        config=config,
        trainee=trainee,
        batches=StepBatches(train, config=config, device=device),
        validation=PackedSplit.open(dataset, "validation") if config.eval.every else None,
        device=device,
    )


def restore(session: Session, checkpoint: Checkpoint) -> None:
    """Put a session into the state of a checkpoint. Raises CheckpointLoadError for any odd part."""
    model, progress = session.trainee.model, session.trainee.progress
    tensors = checkpoint.model_tensors()
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    stored = {name: tuple(value.shape) for name, value in tensors.items()}
    if own != stored:
        odd = sorted(name for name in {*own, *stored} if own.get(name) != stored.get(name))
        raise CheckpointLoadError(
            "the checkpoint holds other weights than this model has",
            code="checkpoint.model",
            got=", ".join(odd[:4]),
        )
    model.load_state_dict(tensors)
    loaded = Progress.from_dict(checkpoint.state())
    stored_state = checkpoint.optimizer_tensors()
    if stored_state or loaded.step > loaded.skipped:  # before its first update an optimizer has no state
        session.trainee.optimizers.load_tensors(stored_state)
    for name, value in loaded.as_dict().items():
        setattr(progress, name, value)


def save(session: Session, manager: CheckpointManager) -> Checkpoint:
    """Publish the present state; its metric is that of an evaluation at this very step, if any."""
    progress = session.trainee.progress
    metric: Any = None
    if progress.last_evaluation.get("step") == progress.step:
        metric = progress.last_evaluation[session.config.checkpoint.metric]
    return manager.save(
        progress.step,
        model=_host(session.trainee.model.state_dict()),
        optimizer=_host(session.trainee.optimizers.tensors()),
        state=progress.as_dict(),
        metric=metric,
    )


def _host(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
