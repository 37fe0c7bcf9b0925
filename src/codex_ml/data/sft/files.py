"""The files of a prepared set of samples: how they are named, written as samples come, and mapped again.

Per split: ``tokens.bin`` and ``trained.bin`` hold all samples one after the other, ``starts.npy`` where
each begins, ``members.npy`` the samples of all rows and ``rows.npy`` where each row begins in those.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from codex_ml.data.sft.plan import flatten, plan_rows

SAMPLES_FILE = "samples.parquet"
DROPPED_FILE = "dropped.parquet"
#: One row per kept sample, in the order of its split.
SAMPLE_COLUMNS = {
    "split": "s",
    "place": "s",
    "group": "s",
    "bytes": "i",
    "tokens": "i",
    "trained": "i",
    "truncated": "i",
}


def array_path(directory: Path, split: str, name: str) -> Path:
    return directory / f"{split}.{name}"


class SplitWriter:
    """Appends the samples of one split; memory grows by eight bytes a sample."""

    def __init__(self, directory: Path, split: str, *, dtype: np.dtype[Any]) -> None:
        self._directory, self._split, self._dtype = directory, split, dtype
        self._tokens: IO[bytes] = array_path(directory, split, "tokens.bin").open("wb")
        self._trained: IO[bytes] = array_path(directory, split, "trained.bin").open("wb")
        self._lengths = array("q")

    def add(self, ids: NDArray[np.int64], trained: NDArray[np.bool_]) -> None:
        self._tokens.write(ids.astype(self._dtype).tobytes())
        self._trained.write(trained.astype(np.uint8).tobytes())
        self._lengths.append(len(ids))

    def close(self) -> None:
        self._tokens.close()
        self._trained.close()

    def finish(self, *, context: int, packing: str) -> dict[str, int]:
        """Plan the rows and write the plan; the figures of it."""
        self.close()
        lengths = np.array(self._lengths, dtype=np.int64)
        members, rows = flatten(plan_rows(lengths - 1, capacity=context, packing=packing))
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        for name, values in (("starts", starts), ("members", members), ("rows", rows)):
            np.save(array_path(self._directory, self._split, f"{name}.npy"), values, allow_pickle=False)
        count = len(rows) - 1
        return {"rows": count, "padding": count * context - int((lengths - 1).sum())}


def map_bytes(path: Path, *, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """*count* values of a file, mapped; an empty file cannot be."""
    if count == 0:
        return np.zeros(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=(count,))


def map_array(directory: Path, split: str, name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = np.load(
        array_path(directory, split, f"{name}.npy"), mmap_mode=None, allow_pickle=False
    )
    return values
