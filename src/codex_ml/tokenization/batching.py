"""Rows of token ids as one rectangle: cut to a length, filled up on one side, with a mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codex_ml.errors import UsageError
from codex_ml.interfaces.tokenizer import Side


@dataclass(frozen=True)
class EncodedBatch:
    """Token ids and attention mask (1 = text, 0 = padding), both int64 of shape (batch, length)."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


def make_batch(
    rows: Sequence[Sequence[int]],
    *,
    padding: Side | None,
    max_length: int | None,
    truncation: Side,
    pad_id: Callable[[], int],
) -> EncodedBatch:
    """Ids and mask of *rows*; *truncation* is the side that is cut beyond *max_length*.

    *pad_id* is asked only where something is padded: rows of equal length need no padding token.
    Raises UsageError for rows of different lengths without padding.
    """
    if max_length is not None:
        rows = [_cut(row, length=max_length, side=truncation) for row in rows]
    width = max(map(len, rows), default=0)
    shortest = min(map(len, rows), default=0)
    if padding is None and shortest != width:
        raise UsageError(
            "texts of different lengths do not make a batch",
            code="tokenizer.ragged",
            got=f"{shortest} to {width} tokens",
            next_step="choose padding='left' or padding='right'",
        )
    ids = np.full((len(rows), width), pad_id() if shortest != width else 0, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for index, row in enumerate(rows):
        start = width - len(row) if padding == "left" else 0
        ids[index, start : start + len(row)] = row
        mask[index, start : start + len(row)] = 1
    return EncodedBatch(ids=ids, mask=mask)


def _cut(row: Sequence[int], *, length: int, side: Side) -> Sequence[int]:
    # Counted from the front: row[-0:] would keep the whole row for a length of 0.
    return row[:length] if side == "right" else row[max(len(row) - length, 0) :]
