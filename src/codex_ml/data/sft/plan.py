"""Which samples share a row: best fit, the largest first; the plan is data, written once.

A row has room for ``context`` columns and a sample takes one less than it has tokens: its last token is
only a label. Every sample is in one row, whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Recorded with every dataset, by ``data.packing``; another way of packing is another name.
ALGORITHMS = {"best_fit": "best-fit-decreasing/1", "none": "one-a-row/1"}


def plan_rows(sizes: Sequence[int] | NDArray[np.int64], *, capacity: int, packing: str) -> list[list[int]]:
    """The samples of each row, as indices into *sizes*, which are 1 to *capacity* each.

    Samples stand in a row in their own order, and rows in the order of their first sample.
    """
    if packing == "none":
        return [[index] for index in range(len(sizes))]
    rows = [sorted(row) for row in _best_fit(np.asarray(sizes, dtype=np.int64), capacity=capacity)]
    return sorted(rows)


def _best_fit(sizes: NDArray[np.int64], *, capacity: int) -> list[list[int]]:
    """Each sample, the largest first, into the fullest row that has room for it."""
    rows: list[list[int]] = []
    rooms: dict[int, list[int]] = {}  # room that is left -> rows with it
    some = _Present(capacity + 1)
    for index in np.lexsort((np.arange(len(sizes)), -sizes)).tolist():
        size = int(sizes[index])
        room = some.first_from(size)
        if room is None:
            row, room = len(rows), capacity
            rows.append([])
        else:
            row = rooms[room].pop()
            if not rooms[room]:
                some.mark(room, present=False)
        rows[row].append(index)
        left = room - size
        if left > 0:
            rooms.setdefault(left, []).append(row)
            some.mark(left, present=True)
    return rows


class _Present:
    """Which numbers below *size* are present; finds the next one in the logarithm of *size*."""

    def __init__(self, size: int) -> None:
        self._leaves = 1 << max(size - 1, 1).bit_length()
        self._tree = bytearray(2 * self._leaves)  # a node is set when a leaf below it is

    def mark(self, number: int, *, present: bool) -> None:
        node = self._leaves + number
        self._tree[node] = present
        while node > 1:
            node //= 2
            value = self._tree[2 * node] | self._tree[2 * node + 1]
            if self._tree[node] == value:
                return
            self._tree[node] = value

    def first_from(self, number: int) -> int | None:
        """The least number present that is at least *number*."""
        node = self._leaves + number
        if self._tree[node]:
            return number
        # Up until there is something to the right, then down along the left edge of that.
        while node > 1 and (node % 2 or not self._tree[node + 1]):
            node //= 2
        if node == 1:
            return None
        node += 1
        while node < self._leaves:
            node = 2 * node if self._tree[2 * node] else 2 * node + 1
        return node - self._leaves


def flatten(rows: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A plan as two arrays: all samples row after row, and where each row begins (one more than rows)."""
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    members = np.fromiter((index for row in rows for index in row), dtype=np.int64, count=int(starts[-1]))
    return members, starts
