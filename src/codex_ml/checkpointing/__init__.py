"""Checkpoints: safetensors and JSON under a manifest, published whole, verified before use."""

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.checkpointing.manager import CheckpointManager
from codex_ml.checkpointing.reader import Checkpoint
from codex_ml.checkpointing.retention import Retention
from codex_ml.errors import CheckpointLoadError

__all__ = ["Checkpoint", "CheckpointLoadError", "CheckpointManager", "Retention", "weights_digest"]
