"""Section ``eval``: what is measured, on how much, and how often during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class ParseConfig:
    __pydantic_config__ = FORBID

    samples: Annotated[int, key("samples drawn", role="operational", ge=1)]
    max_tokens: Annotated[int, key("tokens per sample", role="operational", ge=1)]
    temperature: Annotated[float, key("sampling temperature", role="operational", ge=0)]


@dataclass(frozen=True)
class EvalConfig:
    __pydantic_config__ = FORBID

    every: Annotated[int, key("steps between evaluations in training; 0: none", ge=0)]
    max_rows: Annotated[int, key("validation rows per evaluation in training; 0: all", ge=0)]
    batch_size: Annotated[int, key("rows per evaluation batch", ge=1)]
    tasks: Annotated[
        tuple[str, ...], key("registered evaluation tasks of the final evaluation", role="operational")
    ]
    parse: ParseConfig
