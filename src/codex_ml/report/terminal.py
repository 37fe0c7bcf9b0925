"""Curves as text: dots of two by four to a character cell for one run, one sign per run for several."""

from __future__ import annotations

import math
from collections.abc import Sequence

from codex_ml.report.facts import Series
from codex_ml.report.numbers import number

#: Bits of the eight dots of a braille character, by (column, row) inside its cell.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
#: Signs of the runs in turn.
SIGNS = "●×+▲■◆○*"
_MARGIN = 10


def plot(curves: Sequence[Series], *, width: int, height: int, log: bool = False) -> list[str]:
    """Lines of text, *width* columns wide in all: the curves over a common frame.

    Values that are not finite are left out, with *log* those that are not positive, too. No line at all
    when nothing is left to draw.
    """
    points = [_points(curve, log=log) for curve in curves]
    every = [point for row in points for point in row]
    if not every:
        return []
    columns = max(16, width - _MARGIN - 1)
    frame = _Frame(
        low_x=min(x for x, _ in every),
        high_x=max(x for x, _ in every),
        low_y=min(y for _, y in every),
        high_y=max(y for _, y in every),
    )
    fine = len(curves) == 1
    cells = _braille(points[0], frame, columns, height) if fine else _signs(points, frame, columns, height)
    return [*_with_axis(cells, frame, log=log), _steps(frame, columns)]


class _Frame:
    """The ranges of steps and values; a range without extent is widened."""

    def __init__(self, *, low_x: float, high_x: float, low_y: float, high_y: float) -> None:
        self.low_x, self.high_x = low_x, high_x if high_x > low_x else low_x + 1
        pad = 0.0 if high_y > low_y else max(abs(high_y), 1.0) * 0.05
        self.low_y, self.high_y = low_y - pad, high_y + pad

    def place(self, x: float, y: float, columns: int, rows: int) -> tuple[int, int]:
        across = (x - self.low_x) / (self.high_x - self.low_x)
        down = (self.high_y - y) / (self.high_y - self.low_y)
        return round(across * (columns - 1)), round(down * (rows - 1))


def _points(curve: Series, *, log: bool) -> list[tuple[float, float]]:
    return [
        (step, math.log10(value) if log else value)
        for step, value in curve.pairs()
        if math.isfinite(value) and (value > 0 or not log)
    ]


def _braille(points: list[tuple[float, float]], frame: _Frame, columns: int, rows: int) -> list[str]:
    cells = [[0] * columns for _ in range(rows)]
    before: tuple[int, int] | None = None
    for x, y in points:
        place = frame.place(x, y, 2 * columns, 4 * rows)
        for column, row in _line(before or place, place):
            cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
        before = place
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in cells]


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The dots from *start* to *end*, both among them."""
    (x0, y0), (x1, y1) = start, end
    count = max(abs(x1 - x0), abs(y1 - y0), 1)
    return [
        (round(x0 + (x1 - x0) * part / count), round(y0 + (y1 - y0) * part / count))
        for part in range(count + 1)
    ]


def _signs(points: list[list[tuple[float, float]]], frame: _Frame, columns: int, rows: int) -> list[str]:
    cells = [[" "] * columns for _ in range(rows)]
    for place, row in enumerate(points):
        for x, y in row:
            column, line = frame.place(x, y, columns, rows)
            cells[line][column] = SIGNS[place % len(SIGNS)]
    return ["".join(row) for row in cells]


def _with_axis(cells: list[str], frame: _Frame, *, log: bool) -> list[str]:
    """The lines with values at the top, the middle and the bottom."""
    told = {0: frame.high_y, len(cells) // 2: (frame.low_y + frame.high_y) / 2, len(cells) - 1: frame.low_y}
    lines = []
    for place, text in enumerate(cells):
        value = told.get(place)
        label = "" if value is None else _short(10**value if log else value)
        lines.append(f"{label:>{_MARGIN}}│{text}".rstrip())
    return lines


def _short(value: float) -> str:
    """A value in at most as many signs as the margin has."""
    return number(value) if abs(value) < 1e6 else f"{value:.4g}"


def _steps(frame: _Frame, columns: int) -> str:
    first, last = f"{frame.low_x:,.0f}", f"{frame.high_x:,.0f}"
    return f"{'step':>{_MARGIN}}└{first}{last:>{max(1, columns - len(first))}}"
