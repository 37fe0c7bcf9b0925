"""Section ``sample``: completions shown after training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class SampleConfig:
    __pydantic_config__ = FORBID

    prompts: Annotated[tuple[str, ...], key("prompts to complete", role="operational")]
    max_tokens: Annotated[int, key("tokens per completion", role="operational", ge=1)]
    temperature: Annotated[float, key("sampling temperature; 0 is greedy", role="operational", ge=0)]
    top_p: Annotated[float, key("nucleus of the distribution kept", role="operational", gt=0, le=1)]
