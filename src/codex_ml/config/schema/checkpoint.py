"""Section ``checkpoint``: when state is saved and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class CheckpointConfig:
    __pydantic_config__ = FORBID

    every: Annotated[int, key("steps between checkpoints", role="operational", ge=1)]
    keep_last: Annotated[int, key("newest checkpoints kept", role="operational", ge=2)]
    keep_best: Annotated[int, key("best checkpoints kept", role="operational", ge=0)]
    metric: Annotated[
        Literal["loss", "perplexity"], key("validation metric that ranks checkpoints", role="operational")
    ]
