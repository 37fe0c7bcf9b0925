"""Section ``train``: steps, optimizer, schedule, guards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class OptimizerConfig:
    __pydantic_config__ = FORBID

    name: Annotated[Literal["adamw", "muon"], key("muon: matrices by Muon, everything else by AdamW")]
    beta1: Annotated[float, key("AdamW: decay of the first moment", ge=0, lt=1)]
    beta2: Annotated[float, key("AdamW: decay of the second moment", ge=0, lt=1)]
    eps: Annotated[float, key("AdamW: added to the denominator", gt=0)]
    weight_decay: Annotated[float, key("decoupled weight decay of matrices", ge=0)]
    momentum: Annotated[float, key("Muon: momentum", ge=0, lt=1)]
    matrix_lr: Annotated[float, key("Muon: learning rate of matrices", gt=0)]


@dataclass(frozen=True)
class ScheduleConfig:
    __pydantic_config__ = FORBID

    name: Annotated[Literal["cosine", "wsd", "constant"], key("shape of the learning rate")]
    warmup_steps: Annotated[int, key("steps of linear warm-up", ge=0)]
    decay_share: Annotated[float, key("wsd: last share of the steps in which it decays", gt=0, le=1)]
    min_ratio: Annotated[float, key("learning rate at the end, as a share of the peak", ge=0, le=1)]


@dataclass(frozen=True)
class GuardConfig:
    __pydantic_config__ = FORBID

    action: Annotated[
        Literal["stop", "skip"], key("a NaN or spike: stop the run, or skip the update and count")
    ]
    spike_factor: Annotated[float, key("loss above this multiple of the running median is a spike", gt=1)]
    window: Annotated[int, key("steps in the running median", ge=4)]
    max_skips: Annotated[int, key("more skipped updates than this stop the run", ge=0)]


@dataclass(frozen=True)
class EarlyStopConfig:
    __pydantic_config__ = FORBID

    patience: Annotated[int, key("evaluations without improvement before stopping; 0 never stops", ge=0)]
    min_delta: Annotated[float, key("least fall of the validation loss that counts", ge=0)]


@dataclass(frozen=True)
class TrainConfig:
    __pydantic_config__ = FORBID

    engine: Annotated[
        Literal["native", "hf"], key("native: the project's loop; hf: transformers' Trainer on the same data")
    ]
    steps: Annotated[int, key("optimizer steps", role="horizon", ge=1, le=1 << 40)]
    lr: Annotated[float, key("peak learning rate of AdamW", gt=0)]
    batch_size: Annotated[int, key("rows per optimizer step", ge=1, le=1 << 24)]
    clip_norm: Annotated[float, key("gradients are scaled down to this norm", gt=0)]
    activation_checkpointing: Annotated[bool, key("recompute blocks in backward to save memory")]
    init_from: Annotated[
        str | None,
        key("run, checkpoint or export whose weights training starts from; null: random", role="operational"),
    ]
    log_every: Annotated[
        int, key("steps between progress lines and metric records", role="operational", ge=1)
    ]
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    guard: GuardConfig
    early_stop: EarlyStopConfig
