"""A metric: how far a prediction agrees with its target from the beginning."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

CODEX_ML_CONTRACT = {"metrics": 1}


def prefix_match(predictions: Sequence[str], targets: Sequence[str]) -> float:
    """The mean share of each target that its prediction begins with, 0 to 1.

    Raises ValueError for lists of different lengths or none at all.
    """
    if len(predictions) != len(targets) or not targets:
        raise ValueError(f"{len(predictions)} predictions and {len(targets)} targets")
    return sum(_share(one, two) for one, two in zip(predictions, targets, strict=True)) / len(targets)


def _share(prediction: str, target: str) -> float:
    if not target:
        return float(not prediction)
    equal = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(prediction, target, strict=False))
    return sum(1 for _ in equal) / len(target)
