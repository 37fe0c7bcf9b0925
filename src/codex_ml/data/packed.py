"""Read packed rows of a prepared dataset by index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codex_ml.data.columns import read_rows
from codex_ml.data.pack import labels_in_row, read_plan
from codex_ml.data.shards import TokenStream
from codex_ml.data.split import open_manifest
from codex_ml.data.tokenize import DOCUMENTS_FILE
from codex_ml.errors import DataError


@dataclass(frozen=True)
class RowDocument:
    """The part of a document inside a row: columns [start, stop) of the row."""

    id: str
    group: str
    path: str
    start: int
    stop: int
    begins: bool  # the document's first token is in this row
    ends: bool  # its end token is


class PackedSplit:
    """One split as rows of ``context`` tokens; see `pack` for what a row is."""

    def __init__(self, directory: Path, name: str, manifest: dict[str, Any]) -> None:
        figures = manifest["splits"][name]
        self.directory = directory
        self.name = name
        self.context: int = manifest["context"]
        self.end_id: int = manifest["end_id"]
        self.rows: int = figures["rows"]
        self.tokens: int = figures["tokens"]
        self.bytes: int = figures["bytes"]
        self.documents: int = figures["documents"]
        self._eval_rows: int = figures["eval_rows"]
        self._stream = TokenStream(
            [directory / shard for shard in figures["shards"]],
            dtype=np.dtype(manifest["dtype"]).newbyteorder("<"),
            shard_tokens=manifest["shard_tokens"],
            tokens=self.tokens,
        )

    @classmethod
    def open(cls, directory: Path, split: str) -> PackedSplit:
        """The split named *split* of a verified dataset. Raises DataError for an unknown name."""
        return cls(directory, split, open_manifest(directory, split))

    def batch(self, indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Full rows, (len(indices), context + 1) unsigned integers. Raises DataError beyond the last."""
        starts = self._starts(indices, rows=self.rows)
        return self._stream.gather(starts, width=self.context + 1)

    def eval_rows(self) -> int:
        """Rows including a last one with fewer labels."""
        return self._eval_rows

    def eval_batch(self, indices: NDArray[np.integer[Any]]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Rows as `batch` gives them, and which of their labels, (len(indices), context), exist.

        Over all `eval_rows` every token but the first is a valid label exactly once. What pads the last
        row is the end token.
        """
        starts = self._starts(indices, rows=self._eval_rows)
        labels = np.array(
            [labels_in_row(int(row), tokens=self.tokens, context=self.context) for row in indices]
        )
        valid = np.arange(self.context)[None, :] < labels[:, None]
        out = np.full((len(starts), self.context + 1), self.end_id, dtype=self._stream.dtype)
        whole = labels == self.context
        out[whole] = self._stream.gather(starts[whole], width=self.context + 1)
        for row in np.flatnonzero(~whole):
            out[row, : labels[row] + 1] = self._stream.read(int(starts[row]), self.tokens)
        return out, valid

    def row_documents(self, row: int) -> list[RowDocument]:
        """The documents of a row with their boundaries, in order."""
        start = int(self._starts(np.array([row]), rows=self._eval_rows)[0])
        stop = min(start + self.context + 1, self.tokens)
        first = int(read_plan(self.directory, split=self.name)[row])
        found: list[RowDocument] = []
        index = -1
        columns = ["split", "id", "group", "path", "token_start", "token_count"]
        for split, name, group, path, begin, count in read_rows(
            self.directory / DOCUMENTS_FILE, columns=columns
        ):
            index += split == self.name
            if split != self.name or index < first:
                continue
            if begin >= stop:
                break
            end = begin + count
            inside = (max(begin - start, 0), min(end, stop) - start)
            found.append(RowDocument(name, group, path, *inside, begins=begin >= start, ends=end <= stop))
        return found

    def _starts(self, indices: NDArray[np.integer[Any]], *, rows: int) -> NDArray[np.int64]:
        wide: NDArray[np.int64] = np.asarray(indices, dtype=np.int64)
        if indices.size and not (indices.min() >= 0 and indices.max() < rows):
            bad = int(indices.max() if indices.max() >= rows else indices.min())
            raise DataError(
                f"the split '{self.name}' has no row {bad}",
                code="data.row",
                got=bad,
                wanted=f"0 to {rows - 1}",
            )
        return wide * self.context
