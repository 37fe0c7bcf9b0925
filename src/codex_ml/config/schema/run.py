"""The whole configuration of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.checkpoint import CheckpointConfig
from codex_ml.config.schema.data import DataConfig
from codex_ml.config.schema.evaluation import EvalConfig
from codex_ml.config.schema.key import FORBID, key
from codex_ml.config.schema.model import ModelConfig
from codex_ml.config.schema.objective import ObjectiveConfig
from codex_ml.config.schema.plugins import PluginsConfig
from codex_ml.config.schema.runtime import RuntimeConfig
from codex_ml.config.schema.sample import SampleConfig
from codex_ml.config.schema.tokenizer import TokenizerConfig
from codex_ml.config.schema.tracking import TrackingConfig
from codex_ml.config.schema.train import TrainConfig


@dataclass(frozen=True)
class RunConfig:
    __pydantic_config__ = FORBID

    name: Annotated[
        str,
        key(
            "name of the run and of its directory",
            role="operational",
            pattern=r"^[A-Za-z0-9][\w.-]{0,99}$",
            form="1 to 100 letters, digits, dots, dashes and underscores, a letter or digit first",
        ),
    ]
    seed: Annotated[int, key("every random draw derives from it", ge=0, lt=1 << 63)]
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    objective: ObjectiveConfig
    train: TrainConfig
    checkpoint: CheckpointConfig
    runtime: RuntimeConfig
    eval: EvalConfig
    sample: SampleConfig
    tracking: TrackingConfig
    plugins: PluginsConfig
