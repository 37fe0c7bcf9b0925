from __future__ import annotations

from typing import Any

import pytest

from codex_ml.training.step import MicroBatch, accumulate, compute_gradients

pytestmark = pytest.mark.needs("train")


def gradients(model: Any) -> dict[str, Any]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def masked(batch: MicroBatch, keep: list[int]) -> MicroBatch:
    """*batch* with only the first labels of each row counted."""
    from codex_ml.objectives.lm import IGNORE

    labels = batch.labels_BT.clone()
    for row, count in enumerate(keep):
        labels[row, count:] = IGNORE
    return MicroBatch(batch.inputs_BT, labels, sum(keep))


@pytest.mark.parametrize("split", [(6,), (3, 3), (1, 2, 3), (1,) * 6])
def test_shards_of_unequal_token_counts_equal_one_big_batch(
    split: tuple[int, ...], trainee_of, batch_of
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
        loss, tokens = accumulate(trainee.loss_of, trainee.model, shards)
        found.append((loss, tokens, gradients(trainee.model)))
    (loss, tokens, expected), (other_loss, other_tokens, got) = found
    assert tokens == other_tokens == 26
    assert other_loss == pytest.approx(loss, rel=1e-6)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_mean_over_the_tokens_of_the_whole_step(trainee_of, batch_of) -> None:
    import torch
    import torch.nn.functional as F

    trainee = trainee_of()
    shards = [
        masked(batch, keep) for batch, keep in zip(batch_of(0, rows=(2, 2)), [[8, 8], [1, 1]], strict=True)
    ]
    loss, tokens = accumulate(trainee.loss_of, trainee.model, shards)
    with torch.no_grad():
        sums = [
            F.cross_entropy(
                trainee.model(shard.inputs_BT).flatten(0, 1), shard.labels_BT.flatten(), reduction="sum"
            )
            for shard in shards
        ]
    assert tokens == 18
    assert loss == pytest.approx(float(sum(sums)) / 18, rel=1e-5)


def test_gradients_are_those_of_autograd_on_the_plain_model(trainee_of, batch_of) -> None:
    import torch
    import torch.nn.functional as F

    trainee, plain = trainee_of(), trainee_of()
    (batch,) = batch_of(0)
    accumulate(trainee.loss_of, trainee.model, [batch])
    F.cross_entropy(plain.model(batch.inputs_BT).flatten(0, 1), batch.labels_BT.flatten()).backward()
    for name, value in gradients(plain.model).items():
        torch.testing.assert_close(gradients(trainee.model)[name], value, rtol=1e-4, atol=1e-7)


def test_the_norm_is_that_before_clipping_and_the_gradient_is_scaled_down_to_the_limit(
    trainee_of, batch_of
) -> None:
    import torch

    free, clipped = trainee_of(), trainee_of()
    one = compute_gradients(free.loss_of, free.model, batch_of(0), clip_norm=1e9)
    two = compute_gradients(clipped.loss_of, clipped.model, batch_of(0), clip_norm=0.01)
    norm = torch.stack([value.norm() for value in gradients(free.model).values()]).norm()
    assert one.norm == two.norm == pytest.approx(float(norm), rel=1e-5)
    assert (one.loss, one.tokens) == (two.loss, 32)
    after = torch.stack([value.norm() for value in gradients(clipped.model).values()]).norm()
    assert float(after) == pytest.approx(0.01, rel=1e-3)


def test_computing_gradients_updates_no_weight(trainee_of, batch_of) -> None:
    import torch

    trainee = trainee_of()
    before = {name: value.clone() for name, value in trainee.model.state_dict().items()}
    compute_gradients(trainee.loss_of, trainee.model, batch_of(0), clip_norm=1.0)
    assert all(torch.equal(value, before[name]) for name, value in trainee.model.state_dict().items())
