"""Turn the splits of a corpus into token shards, the table of documents and the packing plan."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from codex_ml.data.columns import TOKENIZED, RowWriter
from codex_ml.data.corpus import CorpusDocument, CorpusRef
from codex_ml.data.pack import all_rows, first_documents, full_rows, write_plan
from codex_ml.data.shards import ShardWriter
from codex_ml.data.split import SPLITS
from codex_ml.interfaces.progress import Progress
from codex_ml.tokenization.engine import FastEncoder

DOCUMENTS_FILE = "documents.parquet"
_BATCH_BYTES = 1 << 18  # large enough to hide the hand-over, small enough to keep both cores busy


def tokenize_corpus(
    corpus: CorpusRef,
    stage: Path,
    *,
    encoder: FastEncoder,
    end_id: int,
    context: int,
    shard_tokens: int,
    progress: Progress | None = None,
) -> dict[str, dict[str, Any]]:
    """Write everything into *stage* and return the figures of each split; memory stays constant."""
    total = sum(row["bytes"] for row in corpus.manifest["splits"].values())
    counter = _Counter(total, progress=progress)
    figures: dict[str, dict[str, Any]] = {}
    with RowWriter(stage / DOCUMENTS_FILE, TOKENIZED) as table:
        for split in SPLITS:
            writer = ShardWriter(stage, split=split, dtype=encoder.dtype, shard_tokens=shard_tokens)
            starts = _encode_split(
                corpus.documents(split),
                split=split,
                encoder=encoder,
                end_id=end_id,
                writer=writer,
                table=table,
                counter=counter,
            )
            plan = first_documents(np.array(starts, dtype=np.int64), tokens=writer.tokens, context=context)
            write_plan(stage, split=split, plan=plan)
            figures[split] = {
                **corpus.manifest["splits"][split],
                "tokens": writer.tokens,
                "rows": full_rows(writer.tokens, context=context),
                "eval_rows": all_rows(writer.tokens, context=context),
                "stream_sha256": writer.close(),
                "shards": writer.names,
            }
    return figures


class _Counter:
    """Bytes done, told to whoever watches."""

    def __init__(self, total: int, *, progress: Progress | None) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def add(self, size: int) -> None:
        self._done += size
        if self._progress is not None:
            self._progress(self._done, self._total, "tokenize")


def _encode_split(
    documents: Iterator[CorpusDocument],
    *,
    split: str,
    encoder: FastEncoder,
    end_id: int,
    writer: ShardWriter,
    table: RowWriter,
    counter: _Counter,
) -> array[int]:
    """Append every document and the end token after it; return where each starts."""
    end = np.array([end_id], dtype=encoder.dtype)
    starts = array("q")
    batches, again = itertools.tee(_batches(documents))
    ahead = encoder.encode_ahead([document.text for document in batch] for batch in again)
    # The ids come first: asking for them makes the encoder read ahead, which *batches* then remembers.
    for encoded, batch in zip(ahead, batches, strict=True):
        for document, ids in zip(batch, encoded, strict=True):
            start = writer.tokens
            starts.append(start)
            writer.append(ids)
            writer.append(end)
            table.add(
                split,
                document.id,
                document.group,
                document.path,
                document.sha256,
                document.bytes,
                document.characters,
                start,
                len(ids) + 1,
            )
        counter.add(sum(document.bytes for document in batch))
    return starts


def _batches(documents: Iterator[CorpusDocument]) -> Iterator[list[CorpusDocument]]:
    batch: list[CorpusDocument] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += document.bytes
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
