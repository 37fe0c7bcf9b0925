"""Encode documents fast: tiktoken with our merges, the Hugging Face encoder where ids could differ."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codex_ml.core.optional import require
from codex_ml.errors import ConfigError
from codex_ml.tokenization.hf_tokenizer import load_json, read_tokenizer_json
from codex_ml.tokenization.proper import PATTERN, byte_of_char, why_improper

Encode = Callable[[str], NDArray[np.uint32]]


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """Two bytes per token where they suffice, little-endian on every machine."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


class FastEncoder:
    """Documents to ids. Text that looks like a special token is encoded as the text that it is."""

    def __init__(self, encode: Encode, *, vocab_size: int, backend: str, threads: int) -> None:
        self._encode = encode
        self.vocab_size = vocab_size
        self.backend = backend
        self.threads = threads
        self.dtype = token_dtype(vocab_size)

    @classmethod
    def from_directory(cls, directory: Path, *, threads: int | None = None) -> FastEncoder:
        """An encoder for the tokenizer kept in *directory*; *threads* defaults to the cores given to us."""
        text = read_tokenizer_json(directory)
        hf = load_json(text, directory=directory)
        spec = json.loads(text)
        proper = why_improper(spec) is None
        if max(hf.get_vocab().values()) >= hf.get_vocab_size():
            raise ConfigError(
                f"the ids of the tokenizer {directory} have gaps, which a token file cannot hold",
                code="tokenizer.vocab",
                next_step="use a tokenizer whose ids run from 0 without a gap",
            )
        return cls(
            _tiktoken(spec) if proper else _hugging_face(hf),
            vocab_size=hf.get_vocab_size(),
            backend="tiktoken" if proper else "tokenizers",
            threads=threads or _cores(),
        )

    def encode_documents(self, texts: Sequence[str]) -> list[NDArray[Any]]:
        """The ids of each text, in order; the result does not depend on the number of threads."""
        if self.threads == 1 or len(texts) < 2:
            return self._many(texts)
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(self._one, texts))

    def encode_ahead(self, batches: Iterable[Sequence[str]]) -> Iterator[list[NDArray[Any]]]:
        """The ids of every batch in order, while the next batches are read and encoded.

        Two batches per thread wait at most, so memory stays bounded by the size of a batch.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            waiting: deque[Future[list[NDArray[Any]]]] = deque()
            for batch in batches:
                waiting.append(pool.submit(self._many, batch))
                if len(waiting) > 2 * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _many(self, texts: Sequence[str]) -> list[NDArray[Any]]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> NDArray[Any]:
        return self._encode(text).astype(self.dtype)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tiktoken(spec: dict[str, Any]) -> Encode:
    byte_of = byte_of_char()
    special = {token["content"] for token in spec["added_tokens"]}
    ranks = {
        bytes(byte_of[char] for char in token): rank
        for token, rank in spec["model"]["vocab"].items()
        if token not in special
    }
    # Built without special tokens: no text can then become one. The public class is a shell around
    # this core and would only add a search for special tokens to every call.
    core = require("tiktoken._tiktoken", extra="train").CoreBPE(ranks, {}, PATTERN)
    nothing: frozenset[str] = frozenset()

    def encode(text: str) -> NDArray[np.uint32]:
        return np.frombuffer(core.encode_to_tiktoken_buffer(text, set(nothing)), dtype=np.uint32)

    return encode


def _hugging_face(tokenizer: Any) -> Encode:
    tokenizer.encode_special_tokens = True

    def encode(text: str) -> NDArray[np.uint32]:
        return np.array(tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.uint32)

    return encode
