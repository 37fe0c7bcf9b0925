from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from codex_ml.errors import CheckpointLoadError

pytestmark = pytest.mark.needs("train")
NAMES = ["muon", "adamw"]


def words(name: str) -> tuple[str, ...]:
    return (f"train.optimizer.name={name}", "train.clip_norm=1000.0")


@pytest.fixture
def steps(batch_of, gradients_of) -> Callable[[Any, range], None]:
    """Updates of a trainee by the batches of these numbers."""

    def make(trainee: Any, numbers: range) -> None:
        for number in numbers:
            trainee.optimizers.zero_grad()
            gradients_of(trainee, batch_of(number), clip_norm=1.0)
            trainee.optimizers.set_scale(0.5 + number / 10)
            trainee.optimizers.step()

    return make


def bits(tensors: dict[str, Any]) -> dict[str, bytes]:
    return {name: value.detach().numpy().tobytes() for name, value in tensors.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_optimizer_goes_on_with_the_same_bits(name: str, trainee_of, steps) -> None:
    whole, first, second = (trainee_of(*words(name)) for _ in range(3))
    steps(whole, range(6))
    steps(first, range(3))
    second.model.load_state_dict(first.model.state_dict())
    second.optimizers.load_tensors(first.optimizers.tensors())
    steps(first, range(3, 4))  # the copy must not hang on the original
    steps(second, range(3, 6))
    assert bits(second.model.state_dict()) == bits(whole.model.state_dict())
    assert bits(second.optimizers.tensors()) == bits(whole.optimizers.tensors())


@pytest.mark.parametrize("name", NAMES)
def test_every_part_of_the_state_is_needed_and_nothing_else(name: str, trainee_of, steps) -> None:
    trainee = trainee_of(*words(name))
    steps(trainee, range(1))
    state = trainee.optimizers.tensors()
    for key in state:
        with pytest.raises(CheckpointLoadError) as caught:
            trainee_of(*words(name)).optimizers.load_tensors({k: v for k, v in state.items() if k != key})
        assert caught.value.code == "checkpoint.optimizer"
        assert key in str(caught.value)
    with pytest.raises(CheckpointLoadError) as caught:
        trainee_of(*words(name)).optimizers.load_tensors({**state, "model.other|exp_avg": state[key]})
    assert "model.other|exp_avg" in str(caught.value)


def test_the_state_of_the_other_optimizer_is_refused(trainee_of, steps) -> None:
    muon, adamw = (trainee_of(*words(name)) for name in NAMES)
    for trainee in (muon, adamw):
        steps(trainee, range(1))
    for one, other in ((muon, adamw), (adamw, muon)):
        with pytest.raises(CheckpointLoadError):
            one.optimizers.load_tensors(other.optimizers.tensors())


def test_muon_handles_the_matrices_of_the_layers_and_adamw_all_the_rest(trainee_of, steps) -> None:
    trainee = trainee_of(*words("muon"), "model.tie_embeddings=false")
    steps(trainee, range(1))
    kinds: dict[str, set[str]] = {}
    for key in trainee.optimizers.tensors():
        name, part = key.split("|")
        kinds.setdefault(name, set()).add(part)
    for name, parameter in trainee.model.named_parameters():
        matrix = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
        assert kinds[name] == ({"momentum_buffer"} if matrix else {"exp_avg", "exp_avg_sq", "step"}), name


def test_an_update_of_muon_has_singular_values_that_are_nearly_equal(
    trainee_of, batch_of, gradients_of
) -> None:
    """What makes it Muon: the update of a matrix is its momentum made nearly orthogonal."""
    import torch

    trainee = trainee_of(*words("muon"), "train.optimizer.weight_decay=0.0")
    weight = trainee.model.model.layers[0].mlp.gate_proj.weight
    before = weight.detach().clone()
    gradients_of(trainee, batch_of(0, rows=(32,)), clip_norm=1.0)
    gradient = torch.linalg.svdvals(weight.grad)
    trainee.optimizers.step()
    update = torch.linalg.svdvals(weight.detach() - before)
    assert float(gradient[0] / gradient[len(gradient) * 3 // 4]) > 4
    assert float(update[0] / update[len(update) * 3 // 4]) < 2.5


def test_weight_decay_shrinks_matrices_and_leaves_vectors_alone(trainee_of) -> None:
    import torch

    for name in NAMES:
        trainee = trainee_of(*words(name), "train.optimizer.weight_decay=0.5")
        before = {key: value.detach().clone() for key, value in trainee.model.named_parameters()}
        for parameter in trainee.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        trainee.optimizers.set_scale(1.0)
        trainee.optimizers.step()
        for key, value in trainee.model.named_parameters():
            if value.ndim < 2:
                assert torch.equal(value, before[key]), key
            else:
                assert value.detach().norm() < before[key].norm(), key


@pytest.mark.parametrize("name", NAMES)
def test_a_scale_of_zero_changes_nothing_and_the_scale_is_relative_to_the_peak(
    name: str, trainee_of, batch_of, gradients_of
) -> None:
    def moved(scale: float) -> float:
        trainee = trainee_of(*words(name), "train.optimizer.weight_decay=0.0")
        before = bits(trainee.model.state_dict())
        weight = trainee.model.model.norm.weight
        gradients_of(trainee, batch_of(0), clip_norm=1.0)
        for _ in range(3):  # set, not multiplied
            trainee.optimizers.set_scale(scale)
        trainee.optimizers.step()
        if scale == 0:
            assert bits(trainee.model.state_dict()) == before
        return float((weight.detach() - 1).abs().mean())

    assert moved(0.0) == 0
    assert moved(1.0) == pytest.approx(4 * moved(0.25), rel=1e-3)
