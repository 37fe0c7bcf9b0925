from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from codex_ml.training.distributed import ALONE
from codex_ml.training.step import Abandoned, MicroBatch, compute_gradients

pytestmark = pytest.mark.needs("train")


def gradients(model: Any) -> dict[str, Any]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def masked(batch: MicroBatch, keep: list[int]) -> MicroBatch:
    """*batch* with only the first labels of each row counted."""
    from codex_ml.core.labels import IGNORE

    labels = batch.labels_BT.clone()
    for row, count in enumerate(keep):
        labels[row, count:] = IGNORE
    return MicroBatch(batch.inputs_BT, labels, sum(keep))


SPLITS = [(6,), (3, 3), (1, 2, 2, 1), (1, 2, 3), (1,) * 6]
#: A tree has a power of two of leaves.
CASES = [
    (order, split)
    for order in ("sequence", "tree", "any")
    for split in SPLITS
    if order != "tree" or len(split) in (1, 2, 4)
]


@pytest.mark.parametrize(("order", "split"), CASES)
def test_shards_of_unequal_token_counts_equal_one_big_batch(
    order: str, split: tuple[int, ...], trainee_of, batch_of, gradients_of
) -> None:
    import torch

    (whole,) = batch_of(0, rows=(6,))
    whole = masked(whole, [8, 1, 5, 2, 7, 3])
    parts, start = [], 0
    for rows in split:
        inputs, labels = whole.inputs_BT[start : start + rows], whole.labels_BT[start : start + rows]
        parts.append(MicroBatch(inputs, labels, int((labels >= 0).sum())))
        start += rows
    found = []
    for shards in ([whole], parts):
        trainee = trainee_of()
        trainee.model.double()
        trainee.model.compute_dtype = torch.float64
        found.append((gradients_of(trainee, shards, order=order), gradients(trainee.model)))
    (one, expected), (other, got) = found
    assert one.tokens == other.tokens == 26
    assert other.loss == pytest.approx(one.loss, rel=1e-6)
    assert other.norm == pytest.approx(one.norm, rel=1e-6)
    for name, value in expected.items():
        assert float((got[name] - value).norm()) <= 1e-6 * float(value.norm()), name


def test_the_loss_is_the_mean_over_the_tokens_of_the_whole_step(trainee_of, batch_of, gradients_of) -> None:
    import torch
    import torch.nn.functional as F

    trainee = trainee_of()
    shards = [
        masked(batch, keep) for batch, keep in zip(batch_of(0, rows=(2, 2)), [[8, 8], [1, 1]], strict=True)
    ]
    found = gradients_of(trainee, shards)
    with torch.no_grad():
        sums = [
            F.cross_entropy(
                trainee.model(shard.inputs_BT).flatten(0, 1), shard.labels_BT.flatten(), reduction="sum"
            )
            for shard in shards
        ]
    assert found.tokens == 18
    assert found.loss == pytest.approx(float(sum(sums)) / 18, rel=1e-5)


def test_gradients_are_those_of_autograd_on_the_plain_model(trainee_of, batch_of, gradients_of) -> None:
    import torch
    import torch.nn.functional as F

    trainee, plain = trainee_of(), trainee_of()
    (batch,) = batch_of(0)
    gradients_of(trainee, [batch])
    F.cross_entropy(plain.model(batch.inputs_BT).flatten(0, 1), batch.labels_BT.flatten()).backward()
    for name, value in gradients(plain.model).items():
        torch.testing.assert_close(gradients(trainee.model)[name], value, rtol=1e-4, atol=1e-7)


def test_the_norm_is_that_before_clipping_and_the_gradient_is_scaled_down_to_the_limit(
    trainee_of, batch_of, gradients_of
) -> None:
    import torch

    free, clipped = trainee_of(), trainee_of()
    one = gradients_of(free, batch_of(0), clip_norm=1e9)
    two = gradients_of(clipped, batch_of(0), clip_norm=0.01)
    norm = torch.stack([value.norm() for value in gradients(free.model).values()]).norm()
    assert one.norm == two.norm == pytest.approx(float(norm), rel=1e-5)
    assert (one.loss, one.tokens) == (two.loss, 32)
    after = torch.stack([value.norm() for value in gradients(clipped.model).values()]).norm()
    assert float(after) == pytest.approx(0.01, rel=1e-3)


def test_computing_gradients_updates_no_weight(trainee_of, batch_of, gradients_of) -> None:
    import torch

    trainee = trainee_of()
    before = {name: value.clone() for name, value in trainee.model.state_dict().items()}
    gradients_of(trainee, batch_of(0), clip_norm=1.0)
    assert all(torch.equal(value, before[name]) for name, value in trainee.model.state_dict().items())


# ---- the order of additions ----------------------------------------------------------------------


def summed(values: Sequence[float], order: Any) -> float:
    """The gradient of as many shards as there are values, each of which contributes its own one.

    A shard has one token and the step a power of two of them, so that the mean is an exact scaling.
    """
    import torch

    parameter = torch.nn.Parameter(torch.zeros(1))
    shards = [MicroBatch(torch.tensor([[value]]), torch.zeros(1, 1), 1, k) for k, value in enumerate(values)]
    compute_gradients(
        lambda shard: (shard.inputs_BT * parameter).sum(),
        [parameter],
        shards,
        clip_norm=1e30,
        world=ALONE,
        order=order,
        before_shard=lambda _: None,
        stop=lambda: False,
    )
    assert parameter.grad is not None
    return float(parameter.grad) * len(values)


def test_the_tree_of_eight_shards_is_the_one_computed_by_hand() -> None:
    """Beside 1, half a unit in the last place is lost when added alone and kept when added in pairs."""
    half = 2.0**-24
    values = [1.0, *[half] * 7]
    assert summed(values, "tree") == ((1.0) + (2 * half)) + ((2 * half) + (2 * half)) == 1 + 6 * half
    assert summed(values, "sequence") == 1.0
    assert summed(values[::-1], "sequence") == 1 + 8 * half


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 64])
def test_the_order_is_a_balanced_binary_tree_over_the_numbers_of_the_shards(count: int) -> None:
    rng, differ = np.random.default_rng(count), 0
    for _ in range(20):
        values = (rng.standard_normal(count) * 10.0 ** rng.integers(-6, 6, count)).astype(np.float32)
        leaves = list(values)
        while len(leaves) > 1:
            leaves = [leaves[k] + leaves[k + 1] for k in range(0, len(leaves), 2)]
        row = values[0]
        for value in values[1:]:
            row = row + value
        assert summed(values.tolist(), "tree") == float(leaves[0])
        assert summed(values.tolist(), "sequence") == float(row)
        differ += leaves[0] != row
    assert (differ > 0) == (count > 2)


def test_halves_of_the_tree_are_trees_so_that_two_workers_add_up_to_one() -> None:
    """What makes the bits independent of the number of workers: each one computes a whole subtree."""
    rng = np.random.default_rng(0)
    for workers in (2, 4, 8):
        values = (rng.standard_normal(8) * 10.0 ** rng.integers(-6, 6, 8)).astype(np.float32)
        parts = [np.float32(summed(part.tolist(), "tree")) for part in np.split(values, workers)]
        while len(parts) > 1:
            parts = [parts[k] + parts[k + 1] for k in range(0, len(parts), 2)]
        assert float(parts[0]) == summed(values.tolist(), "tree")


@pytest.mark.parametrize("order", ["sequence", "tree", "any"])
def test_before_each_shard_its_number_is_told(order: str, trainee_of, batch_of, gradients_of) -> None:
    told: list[int] = []
    shards = [dataclasses.replace(shard, shard=shard.shard + 4) for shard in batch_of(0, rows=(1, 1, 1, 1))]
    gradients_of(trainee_of(), shards, order=order, before_shard=told.append)
    assert told == [4, 5, 6, 7]


@pytest.mark.parametrize("order", ["sequence", "tree", "any"])
def test_a_stop_is_asked_for_between_two_shards_and_abandons_the_step(
    order: str, trainee_of, batch_of, gradients_of
) -> None:
    import torch

    trainee, told, calls = trainee_of(), [], 0
    before = {name: value.clone() for name, value in trainee.model.state_dict().items()}

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == 3

    with pytest.raises(Abandoned):
        gradients_of(trainee, batch_of(0, rows=(1,) * 8), order=order, before_shard=told.append, stop=stop)
    assert told == [0, 1, 2]
    assert all(torch.equal(value, before[name]) for name, value in trainee.model.state_dict().items())
    assert trainee.optimizers.tensors() == {}
