"""Read bytes of any size in bounded memory: jump to the next line with a hint, or go on line by line."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from codex_ml.digest.hints import FIRST, HINT
from codex_ml.errors import DataError

BLOCK = 1 << 20
#: A longer line is read in pieces of this size: 200 MB without a line end must not be one string.
LONGEST_LINE = 1 << 16
_MOST_CARRIED = 1 << 21
_TAIL = 1 << 14
_CONTROL = bytes(set(range(32)) - {7, 8, 9, 10, 11, 12, 13, 27})


@dataclass(slots=True)
class Counted:
    """What is known of the input when all of it was read."""

    bytes: int = 0
    lines: int = 0
    cut: int = 0  # pieces of lines that were too long
    sha256: str = ""


class Source:
    """The lines of a stream of bytes. Iterate `lines`, and set `hot` to see those without a hint, too."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._previous = b""
        self._block = b""
        self._at = 0
        self.head = stream.read(BLOCK)
        self.counted = Counted()
        self.hot = False

    def check(self) -> None:
        """Raise DataError when the beginning is no text."""
        head = self.head[: 1 << 13]
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or not head:
            return
        odd = len(head) - len(head.translate(None, _CONTROL))
        if odd > max(16, len(head) // 20):
            raise DataError(
                "the input is a binary file",
                code="digest.binary",
                got=f"{odd} control characters in the first {len(head)} bytes",
                wanted="a log, a traceback or a list of tasks as text",
                next_step="unpack it first, or give the text that it was made from",
            )

    def _blocks(self) -> Iterator[bytes]:
        decode = None
        for mark, name in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
            if self.head.startswith(mark):
                decode = codecs.getincrementaldecoder(name)("replace")
        data = self.head
        while data:
            self._hash.update(data)
            self.counted.bytes += len(data)
            yield decode.decode(data).encode() if decode else data
            data = self._stream.read(BLOCK)

    def _whole_lines(self) -> Iterator[bytes]:
        """Blocks that end with a line end; the last line gets one where it has none."""
        carried: list[bytes] = []
        size = 0
        for data in self._blocks():
            end = data.rfind(b"\n") + 1
            if end:
                yield b"".join([*carried, data[:end]])
                carried, size = [], 0
            carried.append(data[end:])
            size += len(data) - end
            if size > _MOST_CARRIED:
                self.counted.cut += 1
                yield b"".join(carried) + b"\n"
                carried, size = [], 0
        if any(carried):
            yield b"".join(carried) + b"\n"

    def lines(self) -> Iterator[tuple[bytes, int]]:
        """Each line that holds a hint, and while `hot` is set every line, with its number from 1."""
        begun = 0  # lines before this block
        for block in self._whole_lines():
            self._block, self._at = block, 0
            counted_to, number = 0, begun + 1
            while self._at < len(block):
                start = self._at
                if not self.hot:
                    begins = FIRST.match(block) if start == 0 else None
                    # From the line end before, which some hints begin with.
                    found = begins or HINT.search(block, max(0, start - 1))
                    if found is None:
                        break
                    start = block.rfind(b"\n", 0, found.end()) + 1
                stop = block.find(b"\n", start) + 1
                number += block.count(b"\n", counted_to, start)
                counted_to = start
                self._at = stop
                for piece in range(start, stop, LONGEST_LINE):
                    self.counted.cut += piece > start
                    yield block[piece : min(piece + LONGEST_LINE, stop)], number
            begun += block.count(b"\n")
            self._previous = (self._previous + block[-_TAIL:])[-_TAIL:]
            self.counted.lines = begun
        self.counted.sha256 = self._hash.hexdigest()

    def before(self, most: int, *, bytes_: int = _TAIL) -> list[bytes]:
        """Up to *most* lines that stand before the line of now, the nearest last."""
        if most <= 0:
            return []
        start = self._block.rfind(b"\n", 0, max(0, self._at - 1)) + 1
        text = self._block[max(0, start - bytes_) : start]
        if len(text) < bytes_:
            text = self._previous[len(text) - bytes_ :] + text if self._previous else text
        return text.splitlines()[-most:]
