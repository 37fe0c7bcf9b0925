"""The order of training data as a pure function of position: any step's batch, computed cold.

The item at global position p of a run is ``permute(p mod N)`` under a key of the run's seed and the
epoch p div N. The permutation is a balanced Feistel network on 2^b >= N values (b even) with a
SplitMix64 round function, walked along its cycle until it falls below N.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codex_ml.core.draws import draw_seed
from codex_ml.errors import DataError

#: Recorded with every run; any change of the numbers below is another name.
ALGORITHM = "feistel-splitmix64/1"

_ROUNDS = 8
# Few values make a poor network; a larger domain costs small N some walking and gains real mixing.
_MIN_HALF_BITS = 4
_GOLDEN, _MIX_A, _MIX_B = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def permute(positions: NDArray[np.integer[Any]], *, seed: int, size: int) -> NDArray[np.int64]:
    """Where a random permutation of ``range(size)`` sends each position; all of them below *size*."""
    return _walk(_network, positions, seed=seed, size=size)


def unpermute(values: NDArray[np.integer[Any]], *, seed: int, size: int) -> NDArray[np.int64]:
    """The positions that `permute` sends to *values*: its inverse."""
    return _walk(_network_back, values, seed=seed, size=size)


def _walk(
    network: Callable[..., NDArray[np.uint64]], start: NDArray[np.integer[Any]], *, seed: int, size: int
) -> NDArray[np.int64]:
    """Cycle walking: what *network* sends outside ``range(size)`` goes on along its cycle, back inside."""
    values = np.asarray(start, dtype=np.int64)
    if size < 1 or (values.size and not (values.min() >= 0 and values.max() < size)):
        raise ValueError(f"positions must lie in 0..{size - 1}")
    half = max(_MIN_HALF_BITS, (max(size - 1, 1).bit_length() + 1) // 2)
    keys = [np.uint64(draw_seed(seed, "data.order.round", index)) for index in range(_ROUNDS)]
    out = network(values.astype(np.uint64), half=half, keys=keys)
    while (outside := np.flatnonzero(out >= np.uint64(size))).size:
        out[outside] = network(out[outside], half=half, keys=keys)
    return out.astype(np.int64)


def steps_of(
    rows: NDArray[np.integer[Any]], *, seed: int, size: int, batch_size: int, steps: int
) -> list[tuple[int, int]]:
    """Every (step, row) with the row in *rows* and in the batch of the step, for steps 0 to *steps* - 1."""
    wanted = np.unique(np.asarray(rows, dtype=np.int64))
    found: list[tuple[int, int]] = []
    for epoch in range(-(-steps * batch_size // size)):
        places = unpermute(wanted, seed=draw_seed(seed, "data.order.epoch", epoch), size=size)
        at = (epoch * size + places) // batch_size
        found += [(int(step), int(row)) for step, row in zip(at, wanted, strict=True) if step < steps]
    return sorted(found)


def batch_rows(step: int, *, seed: int, rows: int, batch_size: int) -> NDArray[np.int64]:
    """The rows of optimizer step *step* (from 0). Every row comes once per epoch.

    Raises DataError when there are fewer rows than a batch takes.
    """
    if rows < batch_size:
        raise DataError(
            "the training split is smaller than one batch",
            code="data.small",
            got=f"{rows} rows",
            wanted=f"at least {batch_size}",
            next_step="give more text, or make train.batch_size or model.context smaller",
        )
    epochs, positions = np.divmod(np.arange(step * batch_size, (step + 1) * batch_size), rows)
    out = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        out[chosen] = permute(
            positions[chosen], seed=draw_seed(seed, "data.order.epoch", int(epoch)), size=rows
        )
    return out


def rows_digest(rows: NDArray[np.integer[Any]]) -> str:
    """sha256 over row numbers, as the journal of a run holds it for each step."""
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()


def _network(values: NDArray[np.uint64], *, half: int, keys: list[np.uint64]) -> NDArray[np.uint64]:
    mask = np.uint64((1 << half) - 1)
    shift = np.uint64(half)
    left, right = values >> shift, values & mask
    for key in keys:
        left, right = right, left ^ (_mix(right, key) & mask)
    return (left << shift) | right


def _network_back(values: NDArray[np.uint64], *, half: int, keys: list[np.uint64]) -> NDArray[np.uint64]:
    """What `_network` sends to *values*."""
    mask = np.uint64((1 << half) - 1)
    shift = np.uint64(half)
    left, right = values >> shift, values & mask
    for key in reversed(keys):
        left, right = right ^ (_mix(left, key) & mask), left
    return (left << shift) | right


def _mix(values: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """SplitMix64 of the value under a key; arithmetic wraps at 64 bits."""
    mixed = (values + key) * _GOLDEN  # spread the few bits of a half over the word before the finalizer
    mixed = (mixed ^ (mixed >> np.uint64(30)) ^ key) * _MIX_A
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_B
    return mixed ^ (mixed >> np.uint64(31))
