"""Section ``tracking``: where metrics go besides the console, and how the machine is watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class MlflowSection:
    __pydantic_config__ = FORBID

    uri: Annotated[
        str | None,
        key(
            "tracking store; unset: CODEX_MLFLOW_URI, MLFLOW_TRACKING_URI, else runs/mlflow.db",
            role="operational",
        ),
    ]
    experiment: Annotated[str, key("experiment of the tracker's run", role="operational", min_length=1)]


@dataclass(frozen=True)
class WandbSection:
    __pydantic_config__ = FORBID

    project: Annotated[str, key("project of the tracker's run", role="operational", min_length=1)]
    entity: Annotated[str | None, key("user or team; unset: the account's own", role="operational")]


@dataclass(frozen=True)
class TrackingConfig:
    __pydantic_config__ = FORBID

    sinks: Annotated[tuple[str, ...], key("registered trackers", role="operational", min_length=1)]
    queue: Annotated[
        int,
        key("records that may wait for a slow tracker; what comes then is dropped", role="operational", ge=1),
    ]
    patience: Annotated[
        float, key("seconds that the end of a run waits for its trackers", role="operational", ge=0)
    ]
    system_every: Annotated[
        float, key("seconds between two samples of the machine; 0: none", role="operational", ge=0)
    ]
    mlflow: MlflowSection
    wandb: WandbSection
