"""Section ``tokenizer``: which tokenizer, or how to train one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class TokenizerConfig:
    __pydantic_config__ = FORBID

    name: Annotated[str, key("registered tokenizer", min_length=1)]
    path: Annotated[
        str | None, key("directory of an existing tokenizer; null trains one", role="operational")
    ]
    vocab_size: Annotated[
        int, key("entries, special tokens included; 0: those of the given one", ge=0, le=1 << 20)
    ]
    train_bytes: Annotated[int, key("most bytes of the training split used to train it", ge=1 << 10)]
