"""Everything one training run needs, built from its config and, when there is one, its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from codex_ml.checkpointing import Checkpoint
from codex_ml.checkpointing.layout import SHARDS
from codex_ml.checkpointing.reader import read_tensors
from codex_ml.checkpointing.shards import read_shards
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
from codex_ml.training.distributed import ALONE, World
from codex_ml.training.loop import Trainee
from codex_ml.training.optim import Optimizers
from codex_ml.training.resolve import ResolvedRun
from codex_ml.training.sharded import fill, shard, sharded_loss
from codex_ml.training.state import Progress


@dataclass(frozen=True)
class Session:
    """The parts of a training run."""

    config: RunConfig
    trainee: Trainee
    batches: StepBatches
    validation: PackedSplit | None
    device: torch.device
    world: World

    def evaluation_due(self) -> bool:
        """Whether the state is one to be evaluated and has not been."""
        progress, every = self.trainee.progress, self.config.eval.every
        if not every or not progress.step or progress.evaluated:
            return False
        return progress.step % every == 0 or progress.step == self.config.train.steps

    def evaluate(self, *, before_batch: Callable[[], None]) -> dict[str, float]:
        """Validation loss, perplexity and accuracy on at most ``eval.max_rows`` rows.

        *before_batch* may raise, to leave an evaluation that is then done again.
        """
        assert self.validation is not None
        model = self.trainee.model
        model.eval()
        score = score_split(
            row_scorer(model),
            self.validation,
            batch_size=self.config.eval.batch_size,
            max_rows=self.config.eval.max_rows,
            device=self.device,
            workers=self.world,
            before_batch=before_batch,
        )
        model.train()
        return {
            "loss": score.loss,
            "perplexity": perplexity(score.loss),
            "token_accuracy": score.accuracy,
        }


def build_session(
    config: RunConfig,
    *,
    resolved: ResolvedRun,
    dataset: Path,
    vocab_size: int,
    world: World = ALONE,
    initial_weights: Path | None = None,
) -> Session:
    """A run at step 0: model with its seeded (or given) weights, optimizers, data.

    Raises DataError when the train split has fewer rows than one batch, CheckpointLoadError when
    *initial_weights* do not fit the model.
    """
    device = torch.device(resolved.device)
    keep_freed_memory()
    sharded = config.runtime.sharding == "fsdp2"
    with torch.device("meta" if sharded else "cpu"):
        model = registry_for("models").get(config.model.name)(
            config.model, vocab_size=vocab_size, compute_dtype=resolved.torch_dtype
        )
    given = read_tensors(initial_weights) if initial_weights is not None else None
    if given is not None:
        check_weights(model, given)
    if sharded:
        shard(model, device=device, world=world)
        fill(model, seed=config.seed, world=world, given=given)
    elif given is not None:
        model.load_state_dict(given)
    else:
        initialise(model, seed=config.seed)
    if not sharded:
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
        loss_of=sharded_loss(model, objective)
        if sharded
        else training_loss(model, objective, compiled=resolved.compile),
        progress=Progress(),
    )
    return Session(
        config=config,
        trainee=trainee,
        batches=StepBatches(train, config=config, device=device, world=world),
        validation=PackedSplit.open(dataset, "validation") if config.eval.every else None,
        device=device,
        world=world,
    )


def check_weights(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise CheckpointLoadError, naming them, when names or shapes are not those of the model."""
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    stored = {name: tuple(value.shape) for name, value in tensors.items()}
    if own != stored:
        odd = sorted(name for name in {*own, *stored} if own.get(name) != stored.get(name))
        raise CheckpointLoadError(
            "the checkpoint holds other weights than this model has",
            code="checkpoint.model",
            got=", ".join(f"{name} {stored.get(name)}" for name in odd[:4]),
            wanted=", ".join(f"{name} {own.get(name)}" for name in odd[:4]),
        )


def restore(session: Session, checkpoint: Checkpoint) -> None:
    """Put a session into the state of a checkpoint. Raises CheckpointLoadError for any odd part."""
    progress, loaded = session.trainee.progress, Progress.from_dict(checkpoint.state())
    if session.config.runtime.sharding == "fsdp2":
        read_shards(checkpoint.path / SHARDS / "model", session.trainee.model.state_dict())
        stored_state = {}
        if loaded.step > loaded.skipped:
            stored_state = session.trainee.optimizers.empty_tensors()
            read_shards(checkpoint.path / SHARDS / "optimizer", stored_state)
    else:
        tensors = checkpoint.model_tensors()
        check_weights(session.trainee.model, tensors)
        session.trainee.model.load_state_dict(tensors)
        stored_state = checkpoint.optimizer_tensors()
    if stored_state or loaded.step > loaded.skipped:  # before its first update an optimizer has no state
        session.trainee.optimizers.load_tensors(stored_state)
    for name, value in loaded.as_dict().items():
        setattr(progress, name, value)
