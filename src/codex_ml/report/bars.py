"""Rows of a bar list: a label, a figure, and how long the bar is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Bar:
    label: str
    text: str
    width: str  # per cent of the room, as CSS takes it


def bars(rows: Sequence[tuple[str, float, str]], *, of: Literal["largest", "sum"]) -> list[Bar]:
    """Bars of (label, value, text); the full length is the largest value or the sum of all."""
    values = [value if math.isfinite(value) and value > 0 else 0.0 for _, value, _ in rows]
    full = sum(values) if of == "sum" else max(values, default=0.0)
    return [
        Bar(label, text, f"{100 * value / full if full else 0:.2f}")
        for (label, _, text), value in zip(rows, values, strict=True)
    ]
