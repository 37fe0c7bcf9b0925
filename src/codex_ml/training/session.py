"""Everything one training run needs, built from its config and, when there is one, its checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from codex_ml.checkpointing import Checkpoint
from codex_ml.checkpointing.fit import check_weights
from codex_ml.checkpointing.layout import SHARDS
from codex_ml.checkpointing.shards import read_shards
from codex_ml.config.schema import RunConfig
from codex_ml.data.packed import PackedSplit
from codex_ml.data.sft.rows import SampleSplit
from codex_ml.errors import DataError
from codex_ml.evaluation.score import Split, score_split, scorer_of
from codex_ml.metrics import perplexity
from codex_ml.training.allocator import keep_freed_memory
from codex_ml.training.batches import StepBatches
from codex_ml.training.build import build_decoder, build_pretrained
from codex_ml.training.distributed import ALONE, World
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
    validation: Split | None
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
            scorer_of(model),
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
    base: Path | None = None,
    base_sha256: str | None = None,
) -> Session:
    """A run at step 0: model with its seeded (or given) weights, optimizers, data.

    Raises DataError when the train split has fewer rows than one batch, CheckpointLoadError when
    *base* (weights to start from, or a pretrained directory) do not fit the model.
    """
    device = torch.device(resolved.device)
    keep_freed_memory()
    train, validation = open_splits(dataset, config)
    if config.model.name == "pretrained":
        built = build_pretrained(config, resolved=resolved, base=base, base_sha256=base_sha256, sample=train)
    else:
        built = build_decoder(config, resolved=resolved, vocab_size=vocab_size, world=world, weights=base)
    trainee = Trainee(
        model=built.model,
        optimizers=Optimizers(built.model, cfg=config.train),
        loss_of=built.loss_of,
        progress=Progress(),
    )
    return Session(
        config=config,
        trainee=trainee,
        batches=StepBatches(train, config=config, device=device, world=world),
        validation=validation,
        device=device,
        world=world,
    )


def open_splits(dataset: Path, config: RunConfig) -> tuple[Split, Split | None]:
    """The rows to train on and, where training is evaluated, to be held against."""
    kind = PackedSplit if config.data.format == "text" else SampleSplit
    train: Split = kind.open(dataset, "train")
    if train.rows < config.train.batch_size:
        raise DataError(
            "the train split is smaller than one batch",
            code="data.too-small",
            got=f"{train.rows} rows of {config.model.context} tokens",
            wanted=f"at least train.batch_size={config.train.batch_size}",
            next_step="add data, or lower train.batch_size or model.context",
        )
    return train, kind.open(dataset, "validation") if config.eval.every else None


def restore(session: Session, checkpoint: Checkpoint) -> None:
    """Put a session into the state of a checkpoint. Raises CheckpointLoadError for any odd part."""
    progress, loaded = session.trainee.progress, Progress.from_dict(checkpoint.state())
    if session.config.runtime.sharding == "fsdp2":
        read_shards(checkpoint.path / SHARDS / "model", session.trainee.model.tensors())
        stored_state = {}
        if loaded.step > loaded.skipped:
            stored_state = session.trainee.optimizers.empty_tensors()
            read_shards(checkpoint.path / SHARDS / "optimizer", stored_state)
    else:
        tensors = checkpoint.model_tensors()
        check_weights(session.trainee.model, tensors)
        session.trainee.model.load_tensors(tensors)
        stored_state = checkpoint.optimizer_tensors()
    if stored_state or loaded.step > loaded.skipped:  # before its first update an optimizer has no state
        session.trainee.optimizers.load_tensors(stored_state)
    for name, value in loaded.as_dict().items():
        setattr(progress, name, value)
