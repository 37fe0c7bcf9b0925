"""Measure a tokenizer: bytes per token by language, beside another tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from codex_ml.core.languages import language
from codex_ml.tokenization.engine import FastEncoder

TOTAL = "all"
_BATCH_BYTES = 4_000_000


@dataclass
class LanguageRow:
    """Sums over the documents of one language."""

    language: str
    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    other_tokens: int | None = None

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def other_bytes_per_token(self) -> float | None:
        return self.bytes / self.other_tokens if self.other_tokens else None


@dataclass
class TokenizerReport:
    """One row per language, largest first, the last row over all."""

    directory: str
    against: str | None
    vocab_size: int
    other_vocab_size: int | None
    rows: list[LanguageRow] = field(default_factory=list)


def evaluate_tokenizer(
    directory: Path,
    *,
    texts: Iterable[tuple[str, str]],
    against: Path | None = None,
    threads: int | None = None,
) -> TokenizerReport:
    """Encode (path, text) pairs with the tokenizer in *directory*, and with the one in *against*."""
    own = FastEncoder.from_directory(directory, threads=threads)
    other = None if against is None else FastEncoder.from_directory(against, threads=threads)
    rows: dict[str, LanguageRow] = {}
    for batch in _batches(texts):
        contents = [text for _, text in batch]
        counts = [len(ids) for ids in own.encode_documents(contents)]
        others = None if other is None else [len(ids) for ids in other.encode_documents(contents)]
        for index, (path, text) in enumerate(batch):
            size = len(text.encode("utf-8"))
            for name in (language(path), TOTAL):
                row = rows.setdefault(name, LanguageRow(name))
                row.documents += 1
                row.bytes += size
                row.tokens += counts[index]
                if others is not None:
                    row.other_tokens = (row.other_tokens or 0) + others[index]
    return TokenizerReport(
        directory=str(directory),
        against=None if against is None else str(against),
        vocab_size=own.vocab_size,
        other_vocab_size=None if other is None else other.vocab_size,
        rows=sorted(rows.values(), key=lambda row: (row.language == TOTAL, -row.bytes, row.language)),
    )


def _batches(texts: Iterable[tuple[str, str]]) -> Iterable[list[tuple[str, str]]]:
    batch: list[tuple[str, str]] = []
    size = 0
    for pair in texts:
        batch.append(pair)
        size += len(pair[1])
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
