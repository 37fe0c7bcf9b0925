"""Pack a token stream into rows: the plan is data, written once and addressed by index.

Row r of a split covers the stream's tokens [r * context, (r + 1) * context], context + 1 of them: inputs,
and the same shifted by one as labels. Rows overlap by that one token, so over all rows every token but
the first is predicted exactly once. No token is dropped, no document is padded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Recorded with every dataset; another way of packing is another name.
ALGORITHM = "stream/1"


def full_rows(tokens: int, *, context: int) -> int:
    """Rows whose every label exists."""
    return max(0, tokens - 1) // context


def all_rows(tokens: int, *, context: int) -> int:
    """Rows including a last one with fewer labels."""
    return -(-max(0, tokens - 1) // context)


def labels_in_row(row: int, *, tokens: int, context: int) -> int:
    """How many labels row *row* has."""
    return min(context, tokens - 1 - row * context)


def first_documents(starts: NDArray[np.int64], *, tokens: int, context: int) -> NDArray[np.int64]:
    """The plan: for every row the index of the document that holds its first token.

    *starts* is the first token of each document, ascending.
    """
    rows = np.arange(all_rows(tokens, context=context), dtype=np.int64)
    return np.searchsorted(starts, rows * context, side="right").astype(np.int64) - 1


def plan_name(split: str) -> str:
    return f"{split}.rows.npy"


def write_plan(directory: Path, *, split: str, plan: NDArray[np.int64]) -> None:
    np.save(directory / plan_name(split), plan, allow_pickle=False)


def read_plan(directory: Path, *, split: str) -> NDArray[np.int64]:
    plan: NDArray[np.int64] = np.load(directory / plan_name(split), mmap_mode="r", allow_pickle=False)
    return plan
