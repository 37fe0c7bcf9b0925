from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def trainee_of(config_of, decoder_of) -> Callable[..., Any]:
    """A model with its optimizers and the real loss: ``trainee_of("train.lr=0.1")``."""
    from codex_ml.objectives.lm import lm_loss
    from codex_ml.training.compiled import training_loss
    from codex_ml.training.loop import Trainee
    from codex_ml.training.optim import Optimizers
    from codex_ml.training.state import Progress

    def build(*words: str, **options: Any) -> Trainee:
        model = decoder_of(*words, **options)
        return Trainee(
            model=model,
            optimizers=Optimizers(model, cfg=config_of("model.context=32", *words).train),
            loss_of=training_loss(model, lm_loss, compiled=False),
            progress=Progress(),
        )

    return build


@pytest.fixture
def batch_of() -> Callable[..., Any]:
    """Random micro-batches of given numbers of rows: ``batch_of(step, rows=(4, 4))``."""
    import torch

    from codex_ml.training.step import MicroBatch

    def build(
        step: int, *, rows: tuple[int, ...] = (4,), time: int = 8, vocab: int = 300
    ) -> list[MicroBatch]:
        generator = torch.Generator().manual_seed(step)
        tokens = torch.randint(0, vocab, (sum(rows), time + 1), generator=generator)
        return [
            MicroBatch(part[:, :-1].contiguous(), part[:, 1:].contiguous(), part[:, 1:].numel(), number)
            for number, part in enumerate(tokens.split(list(rows)))
        ]

    return build


@pytest.fixture
def gradients_of() -> Callable[..., Any]:
    """The gradients of a trainee on given shards, alone: ``gradients_of(trainee, shards, clip_norm=1.0)``."""
    from codex_ml.training.distributed import ALONE
    from codex_ml.training.step import Gradients, compute_gradients

    def compute(trainee: Any, shards: Any, **options: Any) -> Gradients:
        defaults: dict[str, Any] = {
            "clip_norm": 1e9,
            "world": ALONE,
            "order": "sequence",
            "before_shard": lambda _: None,
            "stop": lambda: False,
        }
        parameters = list(trainee.model.parameters())
        return compute_gradients(trainee.loss_of, parameters, shards, **(defaults | options))

    return compute


@pytest.fixture
def steps_of() -> Callable[..., Any]:
    """The loop of one worker: ``steps_of(trainee, cfg, batch_of)``."""
    from codex_ml.training.distributed import ALONE
    from codex_ml.training.loop import Method, run_steps

    def start(trainee: Any, cfg: Any, batch_of: Any, *, stop: Any = lambda: False, **method: Any) -> Any:
        values: dict[str, Any] = {"seed": 0, "shards": 1, "order": "sequence"}
        return run_steps(
            trainee,
            method=Method(cfg=cfg, **(values | method)),
            world=ALONE,
            batch_of=batch_of,
            stop=stop,
        )

    return start
