"""Changes of a file by their places: what no change names stays as it is, byte for byte."""

from __future__ import annotations

import ast
import bisect
import re
from collections.abc import Iterable
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from codex_ml.audit.source import Source
from codex_ml.audit.walk import parse

_MARK = "\ufeff"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")  # as Python does: a form feed ends no line


class Change(NamedTuple):
    """The characters from *start* to *end* become *new*."""

    start: int
    end: int
    new: str


class Code:
    """A Python file as it lies there. Offsets count characters of *text*, a byte order mark included."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._mark = len(text) - len(text.removeprefix(_MARK))
        self._lines: dict[int, str] = {}
        self._columns: dict[int, list[int]] = {}

    @cached_property
    def source(self) -> Source | None:
        """None for what does not parse, as in another encoding than UTF-8."""
        try:
            return parse(self.path, self.text[self._mark :])
        except (SyntaxError, ValueError, RecursionError):
            return None

    @cached_property
    def _starts(self) -> list[int]:
        return [match.start() for match in _LINE.finditer(self.text, self._mark)]

    def line_start(self, line: int) -> int:
        """Where *line* begins, or the end of the text behind the last one."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def line_of(self, offset: int) -> int:
        """The line that *offset* stands on."""
        return bisect.bisect_right(self._starts, offset)

    def line(self, line: int) -> str:
        """The characters of *line* without its end."""
        if line not in self._lines:
            self._lines[line] = self.text[self.line_start(line) : self.line_start(line + 1)].rstrip("\r\n")
        return self._lines[line]

    def line_end(self, line: int) -> int:
        """Where *line* ends, before its line end."""
        return self.line_start(line) + len(self.line(line))

    def newline(self, line: int) -> str:
        """How *line* ends, or the file where that is its last."""
        found = self.text[self.line_end(line) : self.line_start(line + 1)]
        if not found:
            ends = re.search(r"\r\n|\r|\n", self.text)
            found = ends[0] if ends else "\n"
        return found

    def at(self, line: int, column: int) -> int:
        """The offset of a place as `ast` gives it: *column* counts bytes of UTF-8."""
        text = self.line(line)
        if not text.isascii():
            column = bisect.bisect_left(self._bytes_before(line, text), column)
        return self.line_start(line) + column

    def _bytes_before(self, line: int, text: str) -> list[int]:
        """How many bytes of UTF-8 stand before each character of a line."""
        if line not in self._columns:
            sizes = (len(letter.encode("utf-8", "surrogatepass")) for letter in text)
            self._columns[line] = list(accumulate(sizes, initial=0))
        return self._columns[line]

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where *node* begins and ends."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self.at(node.lineno, node.col_offset), self.at(end_line, end_column)

    def holds(self, node: ast.expr) -> bool:
        """Whether *node* really stands where it says: within an f-string it may not."""
        start, end = self.span(node)
        try:
            found = ast.parse(f"({self.text[start:end]}\n)", mode="eval")
            return ast.dump(found.body) == ast.dump(node)
        except (SyntaxError, ValueError, RecursionError):
            return False

    def changed(self, changes: Iterable[Change]) -> str | None:
        """The text after all *changes*; None where two of them overlap, or there is none."""
        pieces: list[str] = []
        done = 0
        for one in sorted(changes, key=lambda one: (one.start, one.end)):
            if one.start < done:
                return None
            pieces += [self.text[done : one.start], one.new]
            done = one.end
        new = "".join([*pieces, self.text[done:]])
        return new if new != self.text else None
