"""Small deterministic corpora and the configs that read them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from codex_ml.config.schema.data import DataConfig, SplitConfig
from codex_ml.config.schema.tokenizer import TokenizerConfig

WORDS = (
    *("alpha", "beta", "gamma", "delta", "value", "count", "index", "total"),
    *("items", "result", "parse", "render", "write", "read", "open"),
)


def split_config(
    train: float = 0.8, validation: float = 0.2, test: float = 0.0, salt: str = "s"
) -> SplitConfig:
    return SplitConfig(train=train, validation=validation, test=test, salt=salt)


def data_config(source: str = "files", path: Path | str | None = None, **changes: Any) -> DataConfig:
    values: dict[str, Any] = {
        "source": source,
        "path": None if path is None else str(path),
        "include": (),
        "exclude": (),
        "revision": "HEAD",
        "text_field": "text",
        "group_field": None,
        "group_depth": 1,
        "on_error": "stop",
        "min_bytes": 1,
        "max_bytes": 100_000,
        "max_line_bytes": 2000,
        "min_text_share": 0.0,
        "dedup": "exact",
        "split": split_config(),
        "format": "text",
        "template": None,
        "overlong": "error",
        "packing": "best_fit",
        "shard_tokens": 1 << 20,
    }
    return DataConfig(**(values | changes))


def tokenizer_config(
    vocab_size: int = 300, path: Path | None = None, train_bytes: int = 1 << 20
) -> TokenizerConfig:
    return TokenizerConfig(
        name="bpe",
        path=None if path is None else str(path),
        vocab_size=vocab_size,
        train_bytes=train_bytes,
    )


def code(seed: int, *, functions: int = 8) -> str:
    """A Python module that depends on *seed* alone."""
    rng = random.Random(seed)
    lines = [f'"""Module {seed}: {rng.choice(WORDS)}, größer, 数."""', ""]
    for number in range(functions):
        name, one, two = (rng.choice(WORDS) for _ in range(3))
        lines += [
            f"def {name}_{number}({one}, {two}={rng.randrange(1000)}):",
            f"    for {one}_{number} in range({rng.randrange(99)}):",
            f"        {two} += {one} * {rng.randrange(10)}",
            f"    return {two}",
            "",
        ]
    return "\n".join(lines) + "\n"


def write_packages(root: Path, *, packages: int = 12, modules: int = 2) -> Path:
    """A folder of packages with a few modules each."""
    for package in range(packages):
        for module in range(modules):
            path = root / f"pkg{package:02d}" / f"mod{module}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code(100 * package + module), encoding="utf-8")
    return root
