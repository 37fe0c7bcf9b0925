"""A small dataset, and training in this process with every knob at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpora import write_packages


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose store gets filled once."""
    home = tmp_path_factory.mktemp("repro")
    write_packages(home / "code", packages=24, modules=3)
    return home


@pytest.fixture(scope="session")
def train_small(small_home: Path) -> Callable[..., Any]:
    """Train a tiny model; keyword arguments are config overrides with ``__`` for dots."""
    from codex_ml.config.compose import compose
    from codex_ml.core.paths import Home
    from codex_ml.interfaces.reporter import Silent
    from codex_ml.pipeline.context import Request
    from codex_ml.pipeline.runner import TRAIN_STAGES, run_codex_pipeline

    def run(name: str, *, resume_from: Path | None = None, **changes: Any) -> Any:
        words = [f"{key.replace('__', '.')}={value}" for key, value in changes.items()]
        config = compose(
            [
                "experiment=tiny",
                f"name={name}",
                "data.source=files",
                f"data.path={small_home / 'code'}",
                "data.include=[]",
                "tokenizer.vocab_size=300",
                "model.context=32",
                "train.steps=8",
                "train.schedule.warmup_steps=2",
                "checkpoint.every=1",
                "checkpoint.keep_last=50",
                "eval.every=4",
                *words,
            ],
            environ={},
        ).config
        request = Request(config=config, home=Home(small_home), resume_from=resume_from)
        return run_codex_pipeline(request, reporter=Silent(), stages=TRAIN_STAGES)

    return run


@pytest.fixture
def state_digest() -> Callable[[Path], dict[str, Any]]:
    """Everything that must be equal between two runs at the same step."""
    from codex_ml.checkpointing.digest import weights_digest
    from codex_ml.core.publish import read_json

    def digest(checkpoint: Path) -> dict[str, Any]:
        return {
            "weights": weights_digest(checkpoint / "model.safetensors"),
            "optimizer": weights_digest(checkpoint / "optimizer.safetensors"),
            "state": read_json(checkpoint / "state.json"),
        }

    return digest
