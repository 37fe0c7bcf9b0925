"""Read rows of samples by index: inputs, labels and positions.

A sample of n tokens takes n - 1 columns of its row: all but its last as inputs, all but its first as
labels, where those are trained. Positions begin at 0 with every sample, and again with the padding at the
end of a row, which so is a document of its own. B rows, T = context columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codex_ml.core.labels import IGNORE
from codex_ml.data.columns import read_rows
from codex_ml.data.sft.files import SAMPLES_FILE, array_path, map_array, map_bytes
from codex_ml.data.split import open_manifest
from codex_ml.errors import DataError

Batch = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]


@dataclass(frozen=True)
class RowSample:
    """A sample of a row: columns [start, stop) of it, and where the sample was read."""

    index: int
    start: int
    stop: int
    place: str


class SampleSplit:
    """One split as rows of samples."""

    def __init__(self, directory: Path, name: str, manifest: dict[str, Any]) -> None:
        figures = manifest["splits"][name]
        self.directory = directory
        self.name = name
        self.context: int = manifest["context"]
        self.pad_id: int = manifest["pad_id"]
        self.end_id: int = manifest["end_id"]
        self.rows: int = figures["rows"]
        self.samples: int = figures["samples"]
        self.documents: int = self.samples
        self.tokens: int = figures["tokens"]
        self.trained_tokens: int = figures["trained_tokens"]
        self.bytes: int = figures["bytes"]
        dtype = np.dtype(manifest["dtype"]).newbyteorder("<")
        path = array_path(directory, name, "tokens.bin")
        self._tokens = map_bytes(path, dtype=dtype, count=self.tokens)
        path = array_path(directory, name, "trained.bin")
        self._trained = map_bytes(path, dtype=np.dtype(np.uint8), count=self.tokens)
        self._starts = map_array(directory, name, "starts")
        self._members = map_array(directory, name, "members")
        self._rows = map_array(directory, name, "rows")

    @classmethod
    def open(cls, directory: Path, split: str) -> SampleSplit:
        """The split named *split* of a verified set. Raises DataError for an unknown name."""
        return cls(directory, split, open_manifest(directory, split))

    def batch(self, indices: NDArray[np.integer[Any]]) -> Batch:
        """The rows *indices*: inputs_BT, labels_BT and positions_BT. Raises DataError beyond the last."""
        shape = (len(indices), self.context)
        inputs_BT = np.full(shape, self.pad_id, dtype=np.int64)
        labels_BT = np.full(shape, IGNORE, dtype=np.int64)
        positions_BT = np.zeros(shape, dtype=np.int32)
        for number, row in enumerate(np.asarray(indices).tolist()):
            column = 0
            for sample in self._members_of(row).tolist():
                ids, trained = self.sample(sample)
                stop = column + len(ids) - 1
                inputs_BT[number, column:stop] = ids[:-1]
                labels_BT[number, column:stop] = np.where(trained[1:], ids[1:], IGNORE)
                positions_BT[number, column:stop] = np.arange(stop - column)
                column = stop
            positions_BT[number, column:] = np.arange(self.context - column)
        return inputs_BT, labels_BT, positions_BT

    def eval_rows(self) -> int:
        """Rows that are evaluated: all of them."""
        return self.rows

    def sample(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The tokens of a sample, and which of them are trained."""
        part = slice(int(self._starts[index]), int(self._starts[index + 1]))
        return self._tokens[part].astype(np.int64), self._trained[part].astype(bool)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every sample."""
        return np.diff(self._starts)

    def row_of_samples(self) -> NDArray[np.int64]:
        """The row of every sample."""
        rows = np.empty(self.samples, dtype=np.int64)
        rows[self._members] = np.repeat(np.arange(self.rows), np.diff(self._rows))
        return rows

    def row_samples(self, row: int) -> list[RowSample]:
        """The samples of a row, in order."""
        members = self._members_of(row).tolist()
        places = self._places(members)
        found, start = [], 0
        for sample in members:
            stop = start + int(self._starts[sample + 1] - self._starts[sample]) - 1
            found.append(RowSample(sample, start, stop, places[sample]))
            start = stop
        return found

    def _places(self, samples: list[int]) -> dict[int, str]:
        wanted, found, index = set(samples), {}, -1
        for split, place in read_rows(self.directory / SAMPLES_FILE, columns=["split", "place"]):
            index += split == self.name
            if split == self.name and index in wanted:
                found[index] = place
                if len(found) == len(wanted):
                    break
        return found

    def _members_of(self, row: int) -> NDArray[np.int64]:
        if not 0 <= row < self.rows:
            raise DataError(
                f"the split '{self.name}' has no row {row}",
                code="data.row",
                got=row,
                wanted=f"0 to {self.rows - 1}",
            )
        return self._members[int(self._rows[row]) : int(self._rows[row + 1])]
