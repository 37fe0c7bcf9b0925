from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.core.ndjson import NdjsonAppender, cut_tail, finite, last_line, parse_line, read, repair
from codex_ml.errors import IntegrityError


@given(
    st.lists(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4)), max_size=5), st.data()
)
def test_a_file_cut_anywhere_gives_the_whole_lines_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, object]], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.ndjson"
    path.unlink(missing_ok=True)
    appender = NdjsonAppender(path)
    for record in records:
        appender.write(record)
    appender.close()
    raw = path.read_bytes()
    cut = data.draw(st.integers(0, len(raw)))
    path.write_bytes(raw[:cut])
    whole = raw[:cut].count(b"\n")
    assert list(read(path)) == records[:whole]
    again = NdjsonAppender(path)
    again.write({"after": 1})
    again.close()
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == [*records[:whole], {"after": 1}]


def test_repair_says_how_much_it_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    assert repair(path) == 0
    path.write_bytes(b'{"a":1}\n{"b"')
    assert repair(path) == 4
    assert repair(path) == 0
    assert path.read_bytes() == b'{"a":1}\n'


def test_what_json_lacks_becomes_text(tmp_path: Path) -> None:
    record = {"a": math.nan, "b": math.inf, "c": {"d": -math.inf}, "e": 1.5}
    assert finite(record) == {"a": "nan", "b": "inf", "c": {"d": "-inf"}, "e": 1.5}
    appender = NdjsonAppender(tmp_path / "x")
    appender.write(record)
    appender.close()
    assert [float(value) for value in next(read(tmp_path / "x"))["c"].values()] == [-math.inf]


@given(st.lists(st.binary(max_size=9).map(lambda raw: raw.replace(b"\n", b"")), max_size=9), st.booleans())
def test_the_last_line_is_that_of_the_whole_file_read_forwards(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "last.ndjson"
    path.write_bytes(b"\n".join(lines) + (b"" if torn else b"\n"))
    raw = path.read_bytes()
    for end in range(len(raw) + 1):
        start = raw.rfind(b"\n", 0, max(0, end - 1)) + 1
        assert last_line(path, end) == raw[start:end]


@pytest.mark.parametrize("length", [(1 << 16) - 2, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 200_000])
def test_a_line_around_and_beyond_the_size_of_one_read_is_found_whole(length: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    line = b"x" * length + b"\n"
    path.write_bytes(b"before\n" + line)
    assert last_line(path, path.stat().st_size) == line
    path.write_bytes(line)
    assert last_line(path, len(line)) == line


def test_finding_the_last_line_and_cutting_the_tail_read_only_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long"
    with path.open("wb") as stream:
        stream.truncate(1 << 36)  # 64 GiB of nothing: no test would end that read it
        stream.seek(0, 2)
        stream.write(b"\nkept\ncut\ncut\ntorn")
    assert repair(path) == len(b"torn")
    cut_tail(path, beyond=lambda line: line == b"cut\n")
    assert last_line(path, path.stat().st_size) == b"kept\n"
    assert path.stat().st_size == (1 << 36) + len(b"\nkept\n")


@given(st.lists(st.integers(0, 9)), st.integers(0, 9))
def test_of_the_tail_goes_what_lies_beyond_and_nothing_before_the_first_line_that_does_not(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], last: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "steps.ndjson"
    lines = [f"{step}\n" for step in steps]
    path.write_text("".join(lines) + "9, to")
    cut_tail(path, beyond=lambda line: int(line) > last)
    kept = len(steps)
    while kept and steps[kept - 1] > last:
        kept -= 1
    assert path.read_text() == "".join(lines[:kept])


def test_a_file_that_is_not_there_has_no_lines_and_nothing_to_drop(tmp_path: Path) -> None:
    assert list(read(tmp_path / "none")) == []
    cut_tail(tmp_path / "none", beyond=lambda _: True)
    assert repair(tmp_path / "none") == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"step": 2, "va', "Unterminated"),
        (b"", "Expecting value"),
        (b"\0\0\0\0", "Expecting value"),
        (b'{"step": "\xff"}', "codec"),
        (b"[1]", "another JSON value"),
        (b'{"stpe": 2}', "no step"),
    ],
)
def test_a_damaged_line_is_named_after_the_sound_ones_before_it(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    rows = read(path, fields=["step"])
    assert next(rows) == {"step": 1}
    with pytest.raises(IntegrityError) as caught:
        next(rows)
    assert caught.value.code == "metrics.line"
    assert caught.value.what == f"{path}:2 is no record"
    assert reason in str(caught.value.got)
    assert caught.value.next_step is not None


def test_a_line_is_its_record() -> None:
    assert parse_line(b'{"a": "\xc3\xa9"}\n', "x:1", fields=["a"]) == {"a": "é"}
