"""Score every row of a split under a model: the sums from which the metrics follow.

Shapes: B batch, T time, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from codex_ml.data.packed import PackedSplit
from codex_ml.interfaces.progress import Progress
from codex_ml.interfaces.workers import Workers

#: (inputs_BT, labels_BT) -> (negative log-likelihood sums_B, hits_B, counts_B), labels -100 ignored
RowScorer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
IGNORE = -100


@dataclass(frozen=True)
class SplitScore:
    """Per row: summed negative log-likelihood in nats, right predictions, scored tokens."""

    nll: list[float]
    hits: list[int]
    tokens: list[int]

    @property
    def loss(self) -> float:
        """Mean negative log-likelihood in nats per token."""
        return float(np.sum(self.nll) / np.sum(self.tokens))

    @property
    def accuracy(self) -> float:
        """Share of tokens predicted right."""
        return float(np.sum(self.hits) / np.sum(self.tokens))


def row_scorer(logits_of: Callable[[Tensor], Tensor]) -> RowScorer:
    """Build a scorer from a function inputs_BT -> logits_BTV."""

    def score(inputs_BT: Tensor, labels_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits_BTV = logits_of(inputs_BT).float()
        nll_BT = F.cross_entropy(
            logits_BTV.flatten(0, 1), labels_BT.flatten(), ignore_index=IGNORE, reduction="none"
        ).view_as(labels_BT)
        counted_BT = labels_BT != IGNORE
        hits_BT = (logits_BTV.argmax(-1) == labels_BT) & counted_BT
        return nll_BT.double().sum(1), hits_BT.sum(1), counted_BT.sum(1)

    return score


@torch.no_grad()
def score_split(
    scorer: RowScorer,
    split: PackedSplit,
    *,
    batch_size: int,
    max_rows: int,
    device: torch.device,
    progress: Progress | None = None,
    workers: Workers | None = None,
    before_batch: Callable[[], None] = lambda: None,
) -> SplitScore:
    """Score the rows of *split*, spread evenly when *max_rows* (not 0) is fewer than there are.

    Every batch has the same shape: the last one is filled up with rows whose labels are ignored.
    Several *workers* take turns with the batches, and each gets the whole result: that of one worker,
    bit for bit. *before_batch* may raise, to leave.
    """
    rows = split.eval_rows()
    wanted = rows if max_rows == 0 else min(rows, max_rows)
    indices = (np.arange(wanted, dtype=np.int64) * rows) // wanted
    rank, size = (workers.rank, workers.size) if workers else (0, 1)
    own: list[tuple[float, int, int]] = []
    for turn in range(0, wanted, batch_size * size):
        before_batch()
        part = indices[turn + rank * batch_size :][:batch_size]  # empty for who has nothing left to do
        inputs_BT, labels_BT = _padded_batch(split, part, batch_size=batch_size, device=device)
        columns = [values_B.tolist() for values_B in scorer(inputs_BT, labels_BT)]
        own.extend(zip(*columns, strict=True))
        if progress is not None:
            progress(min(wanted, turn + batch_size * size), wanted, "evaluation rows")
    rows_in_order = own if workers is None else _in_turns(own, workers, batch_size)
    nll, hits, tokens = zip(*rows_in_order[:wanted], strict=True)
    return SplitScore(list(nll), list(hits), list(tokens))


def _in_turns(
    own: list[tuple[float, int, int]], workers: Workers, batch_size: int
) -> list[tuple[float, int, int]]:
    """The rows of all workers in the order of the split; float64 holds every count exactly."""
    flat = workers.gather([float(value) for row in own for value in row])
    table = np.array(flat).reshape(workers.size, -1, batch_size, 3).swapaxes(0, 1).reshape(-1, 3)
    return [(float(nll), int(hits), int(tokens)) for nll, hits, tokens in table]


def _padded_batch(
    split: PackedSplit, indices: np.ndarray, *, batch_size: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    raw, valid = split.eval_batch(indices)
    missing = batch_size - len(indices)
    tokens = np.pad(raw.astype(np.int64), ((0, missing), (0, 0)))
    mask = np.pad(valid, ((0, missing), (0, 0)))
    labels = np.where(mask, tokens[:, 1:], IGNORE)
    return torch.from_numpy(tokens[:, :-1].copy()).to(device), torch.from_numpy(labels).to(device)
