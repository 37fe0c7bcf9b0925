"""The data configuration that the benchmarks read: the standard library, or a JSONL file."""

from __future__ import annotations

from pathlib import Path

from codex_ml.config.schema.data import DataConfig, SplitConfig
from codex_ml.config.schema.tokenizer import TokenizerConfig

TOKENIZER = TokenizerConfig(name="bpe", path=None, vocab_size=4096, train_bytes=50_000_000)


def data_config(source: str, *, path: Path | None = None) -> DataConfig:
    return DataConfig(
        source=source,
        path=None if path is None else str(path),
        include=("**/*.py",),
        exclude=(),
        revision="HEAD",
        text_field="text",
        group_field=None,
        group_depth=1,
        on_error="skip",
        min_bytes=32,
        max_bytes=1_000_000,
        max_line_bytes=20_000,
        min_text_share=0.5,
        dedup="exact",
        split=SplitConfig(train=0.9, validation=0.1, test=0.0, salt="codex-ml"),
        shard_tokens=1 << 25,
    )
