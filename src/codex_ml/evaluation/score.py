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

from codex_ml.core.labels import IGNORE
from codex_ml.data.packed import PackedSplit
from codex_ml.data.sft.rows import SampleSplit
from codex_ml.interfaces.progress import Progress
from codex_ml.interfaces.workers import Workers
from codex_ml.modeling.decoder import Decoder
from codex_ml.modeling.pretrained import Pretrained

Split = PackedSplit | SampleSplit
#: (inputs_BT, labels_BT, positions_BT or None) -> (negative log-likelihood sums_B, hits_B, counts_B),
#: labels -100 ignored
RowScorer = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor, Tensor]]
#: Trained positions whose logits are alive at once.
_CHUNK = 256


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

    def score(
        inputs_BT: Tensor, labels_BT: Tensor, positions_BT: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert positions_BT is None  # rows of one text
        logits_BTV = logits_of(inputs_BT).float()
        nll_BT = F.cross_entropy(
            logits_BTV.flatten(0, 1), labels_BT.flatten(), ignore_index=IGNORE, reduction="none"
        ).view_as(labels_BT)
        counted_BT = labels_BT != IGNORE
        hits_BT = (logits_BTV.argmax(-1) == labels_BT) & counted_BT
        return nll_BT.double().sum(1), hits_BT.sum(1), counted_BT.sum(1)

    return score


def answer_scorer(model: Pretrained) -> RowScorer:
    """A scorer that computes logits for the trained positions alone, some at a time."""

    def score(
        inputs_BT: Tensor, labels_BT: Tensor, positions_BT: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        hidden_BTD = model.trunk(inputs_BT, positions_BT)
        counted_BT = labels_BT != IGNORE
        nll_BT = torch.zeros(labels_BT.shape, dtype=torch.float64, device=labels_BT.device)
        hits_BT = torch.zeros_like(counted_BT)
        for place_C2 in torch.split(counted_BT.nonzero(), _CHUNK):
            row, column = place_C2.unbind(1)
            logits_CV = model.head(hidden_BTD[row, column]).float()
            labels_C = labels_BT[row, column]
            nll_BT[row, column] = F.cross_entropy(logits_CV, labels_C, reduction="none").double()
            hits_BT[row, column] = logits_CV.argmax(-1) == labels_C
        return nll_BT.sum(1), hits_BT.sum(1), counted_BT.sum(1)

    return score


def scorer_of(model: Decoder | Pretrained) -> RowScorer:
    """How the rows of a model are scored."""
    return answer_scorer(model) if isinstance(model, Pretrained) else row_scorer(model)


@torch.no_grad()
def score_split(
    scorer: RowScorer,
    split: Split,
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
        batch = _padded_batch(split, part, batch_size=batch_size, device=device)
        columns = [values_B.tolist() for values_B in scorer(*batch)]
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
    split: Split, indices: np.ndarray, *, batch_size: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor | None]:
    if isinstance(split, SampleSplit):
        return _padded_samples(split, indices, batch_size=batch_size, device=device)
    raw, valid = split.eval_batch(indices)
    missing = batch_size - len(indices)
    tokens = np.pad(raw.astype(np.int64), ((0, missing), (0, 0)))
    mask = np.pad(valid, ((0, missing), (0, 0)))
    labels = np.where(mask, tokens[:, 1:], IGNORE)
    return torch.from_numpy(tokens[:, :-1].copy()).to(device), torch.from_numpy(labels).to(device), None


def _padded_samples(
    split: SampleSplit, indices: np.ndarray, *, batch_size: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    inputs, labels, positions = (torch.from_numpy(part) for part in split.batch(indices))
    missing = (0, 0, 0, batch_size - len(indices))
    filled = torch.arange(split.context, dtype=positions.dtype).expand(batch_size - len(indices), -1)
    return (
        F.pad(inputs, missing, value=split.pad_id).to(device),
        F.pad(labels, missing, value=IGNORE).to(device),
        torch.cat([positions, filled]).to(device),
    )
