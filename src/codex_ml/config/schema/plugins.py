"""Section ``plugins``: which installed packages a run may take its parts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class PluginsConfig:
    __pydantic_config__ = FORBID

    allow: Annotated[
        tuple[str, ...],
        key(
            "patterns of packages, or kind/name, that may give parts to a run; none listed: no plugin",
            role="operational",
        ),
    ]
