"""Show a row of samples: which text is trained, which is masked, what is padding; and figures of a set."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from codex_ml.data.sft.prepare import SamplesRef
from codex_ml.data.split import SPLITS
from codex_ml.tokenization.hf_tokenizer import HFTokenizerAdapter

Kind = Literal["trained", "masked", "padding"]


@dataclass(frozen=True)
class Segment:
    """Neighbouring tokens of one kind. *tokens* holds the text of each, *text* that of all."""

    kind: Kind
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class SampleView:
    """A sample of the row: columns [start, stop); its last token is only a label."""

    place: str
    index: int
    start: int
    stop: int
    trained: int
    masked: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class SampleRowView:
    """One row: its samples in order, then *padding* columns."""

    split: str
    row: int
    rows: int
    context: int
    labels: int
    padding: int
    pad_token: str
    samples: tuple[SampleView, ...]


def inspect_samples(dataset: SamplesRef, *, split: str, row: int) -> SampleRowView:
    """The row *row* of *split*. Raises DataError when there is none."""
    rows = dataset.split(split)
    tokenizer = dataset.tokenizer.open()
    views = []
    for found in rows.row_samples(row):
        ids, trained = rows.sample(found.index)
        views.append(
            SampleView(
                place=found.place,
                index=found.index,
                start=found.start,
                stop=found.stop,
                trained=int(trained[1:].sum()),
                masked=len(ids) - int(trained.sum()),
                segments=tuple(_segments(ids, trained, tokenizer)),
            )
        )
    return SampleRowView(
        split=split,
        row=row,
        rows=rows.rows,
        context=rows.context,
        labels=sum(view.trained for view in views),
        padding=rows.context - (views[-1].stop if views else 0),
        pad_token=dataset.manifest["pad_token"],
        samples=tuple(views),
    )


def _segments(
    ids: NDArray[np.int64], trained: NDArray[np.bool_], tokenizer: HFTokenizerAdapter
) -> list[Segment]:
    found, start, before = [], 0, ""
    for flag, run in groupby(trained.tolist()):
        stop = start + sum(1 for _ in run)
        part = ids[start:stop].tolist()
        # What a token says can depend on those before it: a decoder may drop the first blank of a text.
        text = tokenizer.decode(ids[:stop].tolist())
        said = text[len(before) :] if text.startswith(before) else tokenizer.decode(part)
        kind: Kind = "trained" if flag else "masked"
        found.append(Segment(kind, tuple(part), tuple(tokenizer.tokens(part)), said))
        start, before = stop, text
    return found


def sample_stats(dataset: SamplesRef) -> dict[str, Any]:
    """Figures of every split, the lengths of its samples, and what was left out and why."""
    splits = {}
    for name in SPLITS:
        split, figures = dataset.split(name), dataset.manifest["splits"][name]
        columns = split.rows * split.context
        lengths = split.lengths()
        quantiles = np.quantile(lengths, [0, 0.5, 0.9, 1]).astype(int).tolist() if len(lengths) else [0] * 4
        splits[name] = {
            **figures,
            "trained_share": figures["trained_tokens"] / max(split.tokens, 1),
            "padding_share": figures["padding"] / max(columns, 1),
            "lengths": dict(zip(("least", "median", "p90", "most"), quantiles, strict=True)),
        }
    return {
        "digest": dataset.digest,
        "format": dataset.manifest["format"],
        "template_sha256": dataset.manifest["template_sha256"],
        "inputs": len(dataset.manifest["inputs"]),
        "pad_token": dataset.manifest["pad_token"],
        "splits": splits,
        "dropped": dataset.manifest["dropped"],
    }
