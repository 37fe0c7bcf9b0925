"""The batch of any step, computed from its number alone.

Shapes: B rows of a micro-batch, T time.
"""

from __future__ import annotations

import numpy as np
import torch

from codex_ml.config.schema import RunConfig
from codex_ml.core.labels import IGNORE
from codex_ml.data.order import batch_rows, rows_digest
from codex_ml.data.sft.rows import SampleSplit
from codex_ml.evaluation.score import Split
from codex_ml.training.distributed import World
from codex_ml.training.step import MicroBatch


class StepBatches:
    """Rows of the train split in the order of the seed; holds no position."""

    def __init__(self, split: Split, *, config: RunConfig, device: torch.device, world: World) -> None:
        self._split = split
        self._seed = config.seed
        self._batch_size = config.train.batch_size
        self._shards = config.runtime.shards
        self._device = device
        self._world = world

    def rows(self, step: int) -> np.ndarray:
        """Row numbers of the step, in order."""
        return batch_rows(step, seed=self._seed, rows=self._split.rows, batch_size=self._batch_size)

    def digest(self, step: int) -> str:
        """sha256 over the row numbers: which samples the step saw, in which order."""
        return rows_digest(self.rows(step))

    def __call__(self, step: int) -> list[MicroBatch]:
        """This worker's micro-batches of one step, equal in shape."""
        shards = np.split(self.rows(step), self._shards)
        count = self._shards // self._world.size
        first = self._world.rank * count
        return [self._micro_batch(shards[k], k) for k in range(first, first + count)]

    def _micro_batch(self, rows: np.ndarray, shard: int) -> MicroBatch:
        if isinstance(self._split, SampleSplit):
            inputs, labels, positions = (
                torch.from_numpy(part).to(self._device) for part in self._split.batch(rows)
            )
            return MicroBatch(inputs, labels, int((labels != IGNORE).sum()), shard, positions)
        tokens = torch.from_numpy(self._split.batch(rows).astype(np.int64)).to(self._device)
        inputs_BT, labels_BT = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        return MicroBatch(inputs_BT, labels_BT, labels_BT.numel(), shard)
