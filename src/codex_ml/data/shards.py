"""Token streams on disk: little-endian integers in files of equal length, read through memory maps."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def shard_name(split: str, index: int) -> str:
    return f"{split}-{index:05d}.bin"


class ShardWriter:
    """Append tokens; a new file begins after every *shard_tokens* tokens, also inside a document."""

    def __init__(self, directory: Path, *, split: str, dtype: np.dtype[Any], shard_tokens: int) -> None:
        self._directory = directory
        self._split = split
        self._dtype = dtype
        self._shard_tokens = shard_tokens
        self._stream: IO[bytes] | None = None
        self._sha = hashlib.sha256()
        self.tokens = 0
        self.names: list[str] = []

    def append(self, tokens: NDArray[Any]) -> None:
        tokens = np.ascontiguousarray(tokens, dtype=self._dtype)
        self._sha.update(tokens.data.cast("B") if tokens.size else b"")
        while tokens.size:
            room = self._shard_tokens - self.tokens % self._shard_tokens
            if room == self._shard_tokens:
                self._next_file()
            piece, tokens = tokens[:room], tokens[room:]
            assert self._stream is not None
            self._stream.write(piece.data.cast("B"))
            self.tokens += len(piece)

    def close(self) -> str:
        """End the last file and return the sha256 of the whole stream."""
        if self._stream is not None:
            self._stream.close()
        return self._sha.hexdigest()

    def _next_file(self) -> None:
        if self._stream is not None:
            self._stream.close()
        name = shard_name(self._split, len(self.names))
        self.names.append(name)
        self._stream = (self._directory / name).open("wb")


class TokenStream:
    """One split's tokens as if they were a single array."""

    def __init__(self, paths: list[Path], *, dtype: np.dtype[Any], shard_tokens: int, tokens: int) -> None:
        self._shards = [np.memmap(path, dtype=dtype, mode="r") for path in paths]
        self._shard_tokens = shard_tokens
        self.dtype = dtype
        self.tokens = tokens

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Tokens [start, stop); across files where they lie so."""
        stop = min(stop, self.tokens)
        pieces = []
        while start < stop:
            shard, offset = divmod(start, self._shard_tokens)
            piece = self._shards[shard][offset : offset + stop - start]
            pieces.append(np.asarray(piece))
            start += len(piece)
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=self.dtype)

    def gather(self, starts: NDArray[np.int64], *, width: int) -> NDArray[Any]:
        """Rows [start, start + width) for every start, all inside the stream."""
        out = np.empty((len(starts), width), dtype=self.dtype)
        shards, offsets = np.divmod(starts, self._shard_tokens)
        inside = offsets + width <= self._shard_tokens
        for shard in np.unique(shards[inside]):
            rows = np.flatnonzero(inside & (shards == shard))
            # A window copies whole rows; an index per token would be several times slower.
            windows = np.lib.stride_tricks.sliding_window_view(self._shards[shard], width)
            out[rows] = windows[offsets[rows]]
        for row in np.flatnonzero(~inside):
            out[row] = self.read(int(starts[row]), int(starts[row]) + width)
        return out
