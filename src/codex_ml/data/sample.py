"""Choose the texts a tokenizer is trained on: bounded in bytes, spread over the corpus, deterministic."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from codex_ml.data.columns import read_rows
from codex_ml.data.corpus import CorpusRef
from codex_ml.errors import DataError


def sample_texts(corpus: CorpusRef, *, split: str, limit: int) -> Iterator[str]:
    """Texts of *split* of together at most *limit* bytes, in the order of the corpus.

    Documents are taken in the order of their sha256, which is as good as chance and depends on nothing
    else; one that no longer fits is passed over. Raises DataError when not even one fits.
    """
    path = corpus.directory / f"{split}.parquet"
    if corpus.manifest["splits"][split]["bytes"] <= limit:
        yield from (text for (text,) in read_rows(path, columns=["text"]))
        return
    keys, sizes = array("Q"), array("q")
    for sha256, size in read_rows(path, columns=["sha256", "bytes"]):
        keys.append(int(sha256[:16], 16))
        sizes.append(size)
    chosen = _choose(np.array(keys), np.array(sizes), limit=limit)
    for take, (text,) in zip(chosen, read_rows(path, columns=["text"]), strict=True):
        if take:
            yield text


def _choose(keys: NDArray[np.uint64], sizes: NDArray[np.int64], *, limit: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(keys), dtype=np.bool_)
    left, least = limit, int(sizes.min())
    for index in np.argsort(keys, kind="stable"):
        if sizes[index] <= left:
            chosen[index] = True
            left -= int(sizes[index])
        if left < least:
            break
    if not chosen.any():
        raise DataError(
            "no document is small enough to train a tokenizer on",
            code="tokenizer.train-bytes",
            got=f"tokenizer.train_bytes={limit}",
            wanted=f"at least {least}",
            next_step="raise tokenizer.train_bytes",
        )
    return chosen
