"""Figures as people read them. Every function takes NaN and infinities."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

ABSENT = "–"


def number(value: float, *, digits: int = 4) -> str:
    """*value* with *digits* significant digits, thousands parted; small values without needless zeros."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 0.01:
        return f"{value:.{digits}g}"
    power = math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, digits - 1 - power)}f}"


def percent(value: float, *, places: int = 1) -> str:
    return f"{100 * value:.{places}f} %" if math.isfinite(value) else str(value)


def size(count: float) -> str:
    """A number of bytes in decimal units."""
    if not math.isfinite(count):
        return str(count)
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= factor:
            return f"{number(count / factor, digits=3)} {unit}"
    return f"{count:.0f} B"


def parameters(count: int) -> str:
    for unit, factor in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{number(count / factor, digits=3)} {unit}"
    return str(count)


def duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds < 60:
        return f"{number(seconds, digits=3)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def when(timestamp: float) -> str:
    """A point in time in UTC, so that the page does not depend on where it is written."""
    return datetime.fromtimestamp(timestamp, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def setting(value: Any) -> str:
    """A value of a configuration: words as they are, everything else as JSON."""
    if value is None or value == []:
        return "none"
    if isinstance(value, str) and value and value == value.strip() and "\n" not in value:
        return value
    return json.dumps(value, ensure_ascii=False)
