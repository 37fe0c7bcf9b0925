"""Metrics as pure functions of sums and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from codex_ml.errors import DataError

#: Metrics of which more is better; of every other less is.
HIGHER_IS_BETTER = frozenset({"token_accuracy", "parse_rate", "tokens_per_second"})
#: What the built-in evaluation tasks measure, and what every run has.
MEASURED = {
    "lm": frozenset({"loss", "perplexity", "token_accuracy", "bits_per_byte"}),
    "parse": frozenset({"parse_rate"}),
    "compressors": frozenset({"gzip_bits_per_byte", "xz_bits_per_byte"}),
}
MEASURED_ALWAYS = frozenset({"tokens_per_second"})


def perplexity(loss: float) -> float:
    """Exp of a mean loss in nats; infinite where it overflows."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_byte(nll_nats: float, utf8_bytes: int) -> float:
    """Total negative log-likelihood in nats over the UTF-8 bytes of the text, in bits.

    Comparable between tokenizers and with compressors. Raises DataError when there are no bytes.
    """
    if utf8_bytes <= 0:
        raise DataError("bits per byte of an empty text", code="metrics.empty", got=utf8_bytes, wanted=">= 1")
    return nll_nats / math.log(2) / utf8_bytes


def token_accuracy(predictions: Sequence[int], targets: Sequence[int]) -> float:
    """Share of equal positions. Raises DataError when the lengths differ or are zero."""
    if len(predictions) != len(targets) or not targets:
        raise DataError(
            "predictions and targets must have the same, non-zero length",
            code="metrics.length",
            got=f"{len(predictions)} predictions, {len(targets)} targets",
            wanted="equal lengths",
        )
    hits = sum(a == b for a, b in zip(predictions, targets, strict=True))
    return hits / len(targets)


def mean_interval(
    sums: Sequence[float], counts: Sequence[float], *, z: float = 1.959964
) -> tuple[float, float, float]:
    """A ratio of sums (such as loss per token over rows) with its 95 % interval.

    The variance is the ratio estimator's over the units (Cochran, "Sampling Techniques", 1977,
    §6.4); with fewer than two units the interval is the value itself. Raises DataError when the
    lengths differ or nothing was counted.
    """
    if len(sums) != len(counts) or not sums or sum(counts) <= 0:
        raise DataError(
            "sums and counts must have the same length and count something",
            code="metrics.length",
            got=f"{len(sums)} sums, {len(counts)} counts",
            wanted="equal lengths, a positive total",
        )
    n, total = len(sums), math.fsum(counts)
    ratio = math.fsum(sums) / total
    if n < 2:
        return ratio, ratio, ratio
    spread = math.fsum((s - ratio * c) ** 2 for s, c in zip(sums, counts, strict=True)) / (n - 1)
    half = z * math.sqrt(spread * n) / total
    return ratio, ratio - half, ratio + half
