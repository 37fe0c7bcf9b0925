"""A set of digests that takes 32 to 64 bytes each, so that millions of documents fit in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 1 << 10


class DigestSet:
    """Remembers sha256 digests by their first 128 bits, in an open-addressed table.

    Two different digests that agree in 128 bits are not to be met: among 10^9 the chance is 10^-21.
    """

    def __init__(self) -> None:
        self._table = _empty(_SMALLEST)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, digest: bytes) -> bool:
        """Remember *digest*; True when it was not there before."""
        high = int.from_bytes(digest[:8], "little")
        low = int.from_bytes(digest[8:16], "little") or 1  # zero marks a free place
        if not self._insert(high, low):
            return False
        self._count += 1
        if 2 * self._count > len(self._table):
            self._grow()
        return True

    def _insert(self, high: int, low: int) -> bool:
        table, mask = self._table, len(self._table) - 1
        place = high & mask
        while True:
            there = int(table[place, 1])
            if there == 0:
                table[place] = (high, low)
                return True
            if there == low and int(table[place, 0]) == high:
                return False
            place = (place + 1) & mask

    def _grow(self) -> None:
        old, self._table = self._table, _empty(2 * len(self._table))
        for high, low in old[old[:, 1] != 0]:
            self._insert(int(high), int(low))


def _empty(size: int) -> NDArray[np.uint64]:
    return np.zeros((size, 2), dtype=np.uint64)
