"""Models, objectives, reward models and agents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def a_loss_is_a_sum_that_can_be_differentiated(loss: Any, _directory: Path) -> None:
    """A float32 scalar that grows with the number of tokens."""
    import torch

    logits = torch.zeros(1, 4, 8, requires_grad=True)
    labels = torch.tensor([[1, 2, 3, 4]])
    found = loss(logits, labels)
    assert found.shape == () and found.dtype == torch.float32, f"{found.shape}, {found.dtype}"
    found.backward()
    assert logits.grad is not None
    half = float(loss(logits[:, :2], labels[:, :2]).detach())
    assert math.isclose(2 * half, float(found.detach()), rel_tol=1e-5), "it is no sum"


def a_model_gives_finite_logits_for_each_position(make: Any, _directory: Path) -> None:
    """Float of shape (batch, length, vocabulary), from a config as runs build it."""
    import torch

    found = _model(make)(_ids())
    assert found.shape == (1, 6, 300), (
        f"ids of shape (1, 6) and a vocabulary of 300 gave {tuple(found.shape)}"
    )
    assert bool(torch.isfinite(found).all()), "there are logits that are no finite number"


def a_position_sees_only_what_is_before_it(make: Any, _directory: Path) -> None:
    """What the next token is must not be known: a model that sees it learns to copy it."""
    import torch

    model, one, two = _model(make).eval(), _ids(), _ids()
    two[0, -1] = 299
    with torch.no_grad():
        before, after = model(one), model(two)
    assert torch.equal(before[:, :-1], after[:, :-1]), "the last token changes the logits before it"


def _model(make: Any) -> Any:
    import torch

    from codex_ml.config.compose import compose

    cfg = compose(["experiment=tiny"], environ={}).config.model
    torch.manual_seed(0)
    model = make(cfg, vocab_size=300, compute_dtype=torch.float32)
    assert isinstance(model, torch.nn.Module), f"{type(model).__name__} is no torch module"
    return model


def _ids() -> Any:
    import torch

    return torch.arange(6).unsqueeze(0)


PAIRS = (("p", "good"), ("p", "bad"), ("", ""), ("def f():", "\n    return 1\n"))


def rewards_are_finite_and_the_same_alone_and_together(make: Any, _directory: Path) -> None:
    """`batch_evaluate` is `evaluate` of each."""
    model = make()
    alone = [model.evaluate(prompt, completion) for prompt, completion in PAIRS]
    assert all(isinstance(one, int | float) and math.isfinite(one) for one in alone), (
        f"{alone} are no finite rewards"
    )
    assert [model.evaluate(prompt, completion) for prompt, completion in PAIRS] == alone, (
        "the second time gave others"
    )
    together = model.batch_evaluate(list(PAIRS))
    assert list(together) == alone, f"together {list(together)}, alone {alone}"


def learning_gives_numbers(make: Any, _directory: Path) -> None:
    """Metrics by name; empty where nothing is learnt."""
    _numbers(make().learn([("p", "better", "worse")]))


def an_agent_acts_by_its_seed(make: Any, _directory: Path) -> None:
    """The same prompt and seed give the same completion."""
    agent = make()
    one, two = (agent.act("def f():", seed=3) for _ in range(2))
    assert isinstance(one, str), f"{one!r} is no text"
    assert one == two, f"seed 3 gave {one!r} and then {two!r}"


def a_saved_agent_acts_as_it_did(make: Any, directory: Path) -> None:
    """After an update, so that there is something to save."""
    agent = make()
    _numbers(agent.update([{"prompt": "p", "completion": "c", "reward": 1.0}]))
    agent.save(directory / "agent")
    again = make()
    again.load(directory / "agent")
    for seed in range(5):
        assert again.act("p", seed=seed) == agent.act("p", seed=seed), (
            f"after loading, seed {seed} acts otherwise"
        )


def _numbers(found: Mapping[str, float]) -> None:
    for name, value in found.items():
        assert math.isfinite(value), f"{name!r}: {value!r} is no metric"
