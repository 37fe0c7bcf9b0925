"""What a sweep varies: one dimension for each override that names several values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from codex_ml.errors import ConfigError

#: The most trials of a grid.
MOST_TRIALS = 10_000


@dataclass(frozen=True)
class Choice:
    """A few values, as the text that an override gives them."""

    key: str
    values: tuple[str, ...]

    def word(self, value: str) -> str:
        return f"{self.key}={value}"


@dataclass(frozen=True)
class Interval:
    """All numbers from *low* to *high*, whole ones for a whole key; *log*: evenly in the logarithm."""

    key: str
    low: float
    high: float
    whole: bool
    log: bool

    def word(self, value: float) -> str:
        return f"{self.key}={int(value) if self.whole else repr(float(value))}"


Dimension = Choice | Interval


def grid(dimensions: Sequence[Dimension]) -> list[tuple[str, ...]]:
    """The words of every combination, the last dimension varying fastest.

    Raises ConfigError for an interval, of which there is no list of values, and for more than `MOST_TRIALS`.
    """
    for dimension in dimensions:
        if isinstance(dimension, Interval):
            raise ConfigError(
                f"{dimension.key} is given as an interval, which a grid cannot go through",
                code="sweep.interval",
                next_step="give --trials N to sample it, or name its values: range(…), choice(…) or a,b,c",
            )
    words = [[d.word(value) for value in d.values] for d in dimensions if isinstance(d, Choice)]
    count = math.prod(map(len, words))
    if count > MOST_TRIALS:
        raise ConfigError(
            "the values have too many combinations",
            code="sweep.trials",
            got=f"{count:,} trials",
            wanted=f"at most {MOST_TRIALS:,}",
            next_step="vary less at a time, or sample with --trials N",
        )
    return list(product(*words))
