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
    keep_every: Annotated[int, key("every n-th step is kept for good; 0: none", role="operational", ge=0)]
    metric: Annotated[
        Literal["loss", "perplexity", "token_accuracy"],
        key("validation metric that ranks checkpoints", role="operational"),
    ]
    mode: Annotated[
        Literal["auto", "min", "max"],
        key("which end of the metric is better; auto: max for token_accuracy", role="operational"),
    ]
    background: Annotated[
        bool, key("write checkpoints beside training, from a copy of the state", role="operational")
    ]
    on_failure: Annotated[
        Literal["stop", "continue"],
        key("a save that fails in mid-run: stop, or say so and train on", role="operational"),
    ]
