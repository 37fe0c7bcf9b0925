from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.needs("train")


@pytest.fixture
def batches_of(prepared, config_of):
    import torch

    from codex_ml.training.batches import StepBatches
    from codex_ml.training.distributed import World

    def build(*words: str, rank: int = 0, workers: int = 1) -> StepBatches:
        config = config_of("model.context=32", "train.batch_size=6", *words)
        return StepBatches(
            prepared.split("train"),
            config=config,
            device=torch.device("cpu"),
            world=World(rank=rank, size=workers),
        )

    return build


def tokens(shards: list[Any]) -> tuple[list[list[int]], list[list[int]]]:
    return (
        [row for shard in shards for row in shard.inputs_BT.tolist()],
        [row for shard in shards for row in shard.labels_BT.tolist()],
    )


def test_a_step_computed_cold_is_the_step_of_the_stream(batches_of) -> None:
    stream, steps = batches_of(), range(25)
    streamed = [(tokens(stream(step)), stream.digest(step)) for step in steps]
    for step in reversed(steps):
        cold = batches_of()
        assert (tokens(cold(step)), cold.digest(step)) == streamed[step]


def test_labels_are_the_next_tokens_of_the_rows_of_the_split(batches_of, prepared) -> None:
    batches = batches_of()
    (batch,) = batches(3)
    raw = prepared.split("train").batch(batches.rows(3))
    assert np.array_equal(batch.inputs_BT.numpy(), raw[:, :-1])
    assert np.array_equal(batch.labels_BT.numpy(), raw[:, 1:])
    assert batch.tokens == 6 * 32
    assert batch.inputs_BT.is_contiguous() and batch.labels_BT.is_contiguous()


def test_shards_are_the_same_rows_in_the_same_order_and_equal_in_shape(batches_of) -> None:
    one, three = batches_of(), batches_of("runtime.shards=3")
    for step in range(5):
        assert tokens(one(step)) == tokens(three(step))
        assert [tuple(shard.inputs_BT.shape) for shard in three(step)] == [(2, 32)] * 3
        assert one.digest(step) == three.digest(step)


@pytest.mark.parametrize("workers", [1, 2, 3, 6])
def test_the_workers_share_the_shards_of_a_step_in_the_order_of_their_ranks(workers: int, batches_of) -> None:
    whole = batches_of("runtime.shards=6")(3)
    shared = []
    for rank in range(workers):
        own = batches_of("runtime.shards=6", rank=rank, workers=workers)
        assert own.digest(3) == batches_of().digest(3)
        shared.append(own(3))
    assert [len(part) for part in shared] == [6 // workers] * workers
    together = [shard for part in shared for shard in part]
    assert [shard.shard for shard in together] == [0, 1, 2, 3, 4, 5]
    assert tokens(together) == tokens(whole)


def test_an_epoch_sees_every_row_once_and_the_next_in_another_order(batches_of, prepared) -> None:
    batches, rows = batches_of("train.batch_size=1"), prepared.split("train").rows
    epochs = [[int(batches.rows(step)[0]) for step in range(e * rows, (e + 1) * rows)] for e in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(rows))
    assert epochs[0] != epochs[1]


def test_the_digest_names_the_rows_and_the_seed_decides_them(batches_of) -> None:
    batches = batches_of()
    expected = hashlib.sha256(np.asarray(batches.rows(2), dtype="<i8").tobytes()).hexdigest()
    assert batches.digest(2) == expected
    assert batches_of("seed=7").digest(2) != expected
    assert len({batches.digest(step) for step in range(20)}) == 20
