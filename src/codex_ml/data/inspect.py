"""Show what a packed row holds: its documents, its tokens, and where one ends and the next begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codex_ml.data.packed import RowDocument
from codex_ml.data.prepare import DatasetRef


@dataclass(frozen=True)
class Segment:
    """A document's part of a row. *tokens* holds the text of each token, *text* that of all."""

    document: RowDocument
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class RowView:
    """One row; the last token of a row is only a label and comes again as the first of the next."""

    split: str
    row: int
    rows: int
    context: int
    labels: int
    segments: tuple[Segment, ...]


def inspect_row(dataset: DatasetRef, *, split: str, row: int) -> RowView:
    """The row *row* of *split*. Raises DataError when there is none."""
    packed = dataset.split(split)
    tokens, valid = packed.eval_batch(np.array([row]))
    tokenizer = dataset.tokenizer.open()
    segments = []
    for document in packed.row_documents(row):
        ids = [int(token) for token in tokens[0, document.start : document.stop]]
        segments.append(
            Segment(
                document=document,
                ids=tuple(ids),
                tokens=tuple(tokenizer.tokens(ids)),
                text=tokenizer.decode(ids),
            )
        )
    return RowView(
        split=split,
        row=row,
        rows=packed.eval_rows(),
        context=packed.context,
        labels=int(valid.sum()),
        segments=tuple(segments),
    )
