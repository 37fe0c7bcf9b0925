"""The schema: one frozen dataclass per section, no default anywhere (defaults live in configs/)."""

from codex_ml.config.schema.checkpoint import CheckpointConfig
from codex_ml.config.schema.data import DataConfig, SplitConfig
from codex_ml.config.schema.evaluation import EvalConfig, ParseConfig
from codex_ml.config.schema.model import LoraConfig, ModelConfig
from codex_ml.config.schema.objective import ObjectiveConfig
from codex_ml.config.schema.plugins import PluginsConfig
from codex_ml.config.schema.run import RunConfig
from codex_ml.config.schema.runtime import RuntimeConfig
from codex_ml.config.schema.sample import SampleConfig
from codex_ml.config.schema.tokenizer import TokenizerConfig
from codex_ml.config.schema.tracking import TrackingConfig
from codex_ml.config.schema.train import (
    EarlyStopConfig,
    GuardConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)

__all__ = [
    "CheckpointConfig",
    "DataConfig",
    "EarlyStopConfig",
    "EvalConfig",
    "GuardConfig",
    "LoraConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "ParseConfig",
    "PluginsConfig",
    "RunConfig",
    "RuntimeConfig",
    "SampleConfig",
    "ScheduleConfig",
    "SplitConfig",
    "TokenizerConfig",
    "TrackingConfig",
    "TrainConfig",
]
