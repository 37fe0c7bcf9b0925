"""Bytes of any kind and size: the right lines, their right numbers, bounded memory."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest import source as module
from codex_ml.digest.hints import HINT
from codex_ml.digest.source import LONGEST_LINE, Source
from codex_ml.errors import DataError

_LINES = st.lists(st.sampled_from([b"plain", b"an error", b"", b"+ make", b"E   x", b"make: no", b"Killed"]))


@given(_LINES, st.integers(1, 40))
def test_the_scan_finds_the_lines_that_hold_a_hint_with_their_numbers(lines: list[bytes], block: int) -> None:
    data = b"\n".join(lines)
    before, module.BLOCK = module.BLOCK, block
    try:
        found = [(raw.rstrip(b"\n"), number) for raw, number in Source(io.BytesIO(data)).lines()]
    finally:
        module.BLOCK = before
    wanted = [(line, at) for at, line in enumerate(lines, 1) if HINT.search(b"\n" + line)]
    assert [row for row in found if row[0]] == wanted


def test_a_hot_source_shows_every_line() -> None:
    source = Source(io.BytesIO(b"a\nb\nc"))
    source.hot = True
    assert [number for _, number in source.lines()] == [1, 2, 3]
    assert source.counted.lines == 3
    assert source.counted.bytes == 5


def test_the_lines_before_one_are_at_hand_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 8)
    source = Source(io.BytesIO(b"one\ntwo\nthree\nfour\nerror\n"))
    seen = [source.before(2) for raw, _ in source.lines() if raw.startswith(b"error")]
    assert seen == [[b"three", b"four"]]


class _Endless(io.RawIOBase):
    """*size* bytes of one letter, made while they are read."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return b"q" * size


def test_a_line_of_32_megabytes_is_read_in_pieces_and_a_few_megabytes_of_memory() -> None:
    tracemalloc.start()
    source = Source(_Endless(32 << 20))  # type: ignore[arg-type]
    assert list(source.lines()) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert source.counted.bytes == 32 << 20
    assert source.counted.cut > 0
    assert peak < 16 << 20


def test_a_hint_in_the_middle_of_a_long_line_is_seen() -> None:
    data = b"x" * (3 * LONGEST_LINE) + b"error" + b"x" * LONGEST_LINE + b"\n"
    pieces = [raw for raw, _ in Source(io.BytesIO(data)).lines()]
    assert sum(b"error" in piece for piece in pieces) == 1
    assert max(map(len, pieces)) <= LONGEST_LINE


@pytest.mark.parametrize("data", [bytes(range(256)) * 40, b"\x00\x01\x02\x03" * 500])
def test_a_binary_file_is_refused_with_a_code(data: bytes) -> None:
    with pytest.raises(DataError) as caught:
        Source(io.BytesIO(data)).check()
    assert caught.value.code == "digest.binary"


@pytest.mark.parametrize(
    "data", [b"", "é\x1b[0m\n".encode(), b"one \x00 in text" + b" words" * 9, b"\xff\xfea\x00"]
)
def test_text_in_any_coding_is_not_binary(data: bytes) -> None:
    source = Source(io.BytesIO(data))
    source.check()
    assert source.head == data
