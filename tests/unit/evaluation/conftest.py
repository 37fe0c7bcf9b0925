from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from codex_ml.core.paths import Home
    from codex_ml.data.prepare import DatasetRef


@pytest.fixture
def home(tmp_path: Path, prepared: DatasetRef) -> Home:
    """A workspace of its own that shares the prepared store."""
    from codex_ml.core.paths import Home

    (tmp_path / ".codex").symlink_to(prepared.directory.parents[2])
    return Home(tmp_path)


@pytest.fixture
def make_run(home: Home, prepared: DatasetRef, config_of, decoder_of) -> Callable[..., Any]:
    """A run with checkpoints of seeded weights: ``make_run("name", steps=(10, 20))``."""
    from codex_ml.checkpointing import CheckpointManager, Retention
    from codex_ml.provenance.opening import Asked, open_run
    from codex_ml.provenance.run_directory import RunDirectory

    def build(name: str = "small", *, steps: tuple[int, ...] = (20,)) -> RunDirectory:
        directory = RunDirectory(home.run(name))
        asked = Asked(
            config=config_of("model.context=32", "tokenizer.vocab_size=300", "eval.batch_size=4"),
            resolved={"dtype": "float32", "device": "cpu", "grade": "bitwise"},
            inputs={
                "dataset": prepared.digest,
                "tokenizer": prepared.tokenizer.digest,
                "vocab_size": 300,
                "code": "c" * 64,
            },
            provenance={},
        )
        open_run(directory, asked, may_grow=lambda *_: False)
        policy = Retention(5, 0, keep_every=0, metric="loss", mode="min")
        manager = CheckpointManager(directory.checkpoints, policy=policy)
        for step in steps:
            model = decoder_of("model.init_std=0.1", seed=step)
            manager.save(step, model=model.state_dict(), optimizer={}, state={"step": step}, metrics={})
        return directory

    return build
