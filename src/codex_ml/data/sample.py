"""Choose the texts a tokenizer is trained on: bounded in bytes, spread over the corpus, deterministic."""

from __future__ import annotations

from collections.abc import Iterator

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
        chosen = None
    else:
        chosen = _choose(list(read_rows(path, columns=["sha256", "id", "bytes"])), limit=limit)
    for name, text in read_rows(path, columns=["id", "text"]):
        if chosen is None or name in chosen:
            yield text


def _choose(rows: list[tuple[str, str, int]], *, limit: int) -> set[str]:
    chosen: set[str] = set()
    left = limit
    for _, name, size in sorted(rows):
        if size <= left:
            chosen.add(name)
            left -= size
    if not chosen:
        raise DataError(
            "no document is small enough to train a tokenizer on",
            code="tokenizer.train-bytes",
            got=f"tokenizer.train_bytes={limit}",
            wanted=f"at least {min(size for _, _, size in rows)}",
            next_step="raise tokenizer.train_bytes",
        )
    return chosen
