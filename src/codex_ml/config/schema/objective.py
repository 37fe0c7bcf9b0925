"""Section ``objective``: what is minimised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class ObjectiveConfig:
    __pydantic_config__ = FORBID

    name: Annotated[str, key("registered objective", min_length=1)]
