"""Section ``tracking``: where metrics go besides the console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class TrackingConfig:
    __pydantic_config__ = FORBID

    sinks: Annotated[tuple[str, ...], key("registered trackers", role="operational", min_length=1)]
