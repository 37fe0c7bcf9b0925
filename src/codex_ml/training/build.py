"""The model that a run trains, and the loss that its steps call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from codex_ml.checkpointing.fit import check_weights
from codex_ml.checkpointing.reader import read_tensors
from codex_ml.config.schema import RunConfig
from codex_ml.data.packed import PackedSplit
from codex_ml.data.sft.rows import SampleSplit
from codex_ml.modeling.decoder import Decoder
from codex_ml.modeling.init import initialise
from codex_ml.modeling.pretrained import Pretrained, check_isolation, check_short_way
from codex_ml.modeling.pretrained_load import load_pretrained
from codex_ml.registry import registry_for
from codex_ml.training.compiled import pretrained_loss, training_loss
from codex_ml.training.distributed import World
from codex_ml.training.resolve import ResolvedRun
from codex_ml.training.sharded import fill, shard, sharded_loss
from codex_ml.training.step import LossFunction


@dataclass(frozen=True)
class Built:
    """A model on its device and the loss of a micro-batch."""

    model: Decoder | Pretrained
    loss_of: LossFunction


def build_decoder(
    config: RunConfig, *, resolved: ResolvedRun, vocab_size: int, world: World, weights: Path | None
) -> Built:
    """A new model with its seeded (or given) weights.

    Raises CheckpointLoadError when *weights* do not fit.
    """
    device = torch.device(resolved.device)
    sharded = config.runtime.sharding == "fsdp2"
    with torch.device("meta" if sharded else "cpu"):
        model = registry_for("models").get(config.model.name)(
            config.model, vocab_size=vocab_size, compute_dtype=resolved.torch_dtype
        )
    given = read_tensors(weights) if weights is not None else None
    if given is not None:
        check_weights(model, given)
    if sharded:
        shard(model, device=device, world=world)
        fill(model, seed=config.seed, world=world, given=given)
    elif given is not None:
        model.load_tensors(given)
    else:
        initialise(model, seed=config.seed)
    if not sharded:
        model.to(device)
    model.recompute = config.train.activation_checkpointing
    objective = registry_for("objectives").get(config.objective.name)
    if sharded:
        return Built(model, sharded_loss(model, objective))
    return Built(model, training_loss(model, objective, compiled=resolved.compile))


def build_pretrained(
    config: RunConfig,
    *,
    resolved: ResolvedRun,
    base: Path | None,
    base_sha256: str | None,
    sample: PackedSplit | SampleSplit,
) -> Built:
    """The pretrained model at *base*, with the adapter that the config asks for.

    Raises ConfigError for a model whose head is not all there is over its trunk, TrainingError where
    documents of a row would see each other.
    """
    assert base is not None
    loaded = load_pretrained(
        base,
        cfg=config.model,
        device=resolved.device,
        compute_dtype=resolved.torch_dtype,
        seed=config.seed,
        expected=base_sha256,
    )
    model = loaded.model
    model.recompute = config.train.activation_checkpointing
    check_short_way(model, vocab_size=loaded.vocab_size)
    if isinstance(sample, SampleSplit):
        check_isolation(model, vocab_size=loaded.vocab_size)
    model.train()
    return Built(model, pretrained_loss(model, compiled=resolved.compile))
