from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.data.document import Document, Dropped
from codex_ml.data.sources.csv import CsvSource
from codex_ml.data.sources.jsonl import JsonlSource
from codex_ml.data.sources.parquet import ParquetSource
from codex_ml.data.sources.tables import TableSource
from codex_ml.errors import DataError
from corpora import data_config

pytestmark = pytest.mark.needs("train")

KINDS: dict[str, type[TableSource]] = {"csv": CsvSource, "jsonl": JsonlSource, "parquet": ParquetSource}
ROWS = [{"text": f"value = {n}\n# größer", "repo": f"r{n % 2}"} for n in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def source(kind: str, path: Path | str, **changes: Any) -> TableSource:
    return KINDS[kind](data_config(kind, path=path, **changes))


def read(kind: str, path: Path | str, **changes: Any) -> list[Document | Dropped]:
    found = source(kind, path, **changes)
    found.inputs()
    return list(found.documents())


def texts(kind: str, path: Path | str, **changes: Any) -> list[str]:
    return [item.text for item in read(kind, path, **changes) if isinstance(item, Document)]


def error(kind: str, path: Path | str, **changes: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(kind, path, **changes)
    assert "\n" not in caught.value.line()
    return caught.value


def compress(data: bytes, suffix: str) -> bytes:
    import zstandard

    if suffix == ".zst":
        half = len(data) // 2  # two frames, as appended files have
        one, two = (zstandard.ZstdCompressor().compress(part) for part in (data[:half], data[half:]))
        return one + two
    return gzip.compress(data) if suffix == ".gz" else data


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    return path


WANTED = [row["text"] for row in ROWS]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_jsonl_is_read_plain_and_compressed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\n\n", 1), suffix))
    assert texts("jsonl", path) == WANTED


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize(("kind", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_csv_and_tsv_are_read_plain_and_compressed(
    tmp_path: Path, kind: str, delimiter: str, suffix: str
) -> None:
    path = tmp_path / f"a{kind}{suffix}"
    lines = [f"repo{delimiter}text"] + [f'{row["repo"]}{delimiter}"{row["text"]}"' for row in ROWS]
    path.write_bytes(compress(("\ufeff" + "\r\n".join(lines) + "\r\n").encode(), suffix))
    assert texts("csv", path) == WANTED


def test_parquet_is_read(tmp_path: Path) -> None:
    assert texts("parquet", write_parquet(tmp_path / "a.parquet", ROWS)) == WANTED


def test_a_group_column_names_the_group_else_each_text_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES + b'{"text": "x", "repo": 7}\n')
    groups = [d.group for d in read("jsonl", path, group_field="repo") if isinstance(d, Document)]
    assert groups == ["r0", "r1", "r0", "r1", "r0", "7"]
    own = [d.group for d in read("jsonl", path) if isinstance(d, Document)]
    assert len(set(own)) == 6
    path.write_bytes(b'{"text": "new first line"}\n' + LINES)
    moved = [d.group for d in read("jsonl", path) if isinstance(d, Document)]
    assert moved[1:] == own[:5]


def test_a_folder_and_a_glob_give_the_same_documents_in_the_order_of_names(tmp_path: Path) -> None:
    for name, row in [("b/x.jsonl", ROWS[0]), ("a.jsonl", ROWS[1])]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    (tmp_path / "notes.txt").write_text("no")
    folder = read("jsonl", tmp_path)
    assert [item.id for item in folder] == ["a.jsonl:1", "b/x.jsonl:1"]
    assert read("jsonl", f"{tmp_path}/**/*.jsonl") == folder


def test_malformed_jsonl_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES + b'{"text": "x"\n' + LINES)
    problem = error("jsonl", path)
    assert problem.code == "data.jsonl"
    assert "a.jsonl:6" in problem.line()
    found = read("jsonl", path, on_error="skip")
    assert len(found) == 11
    assert isinstance(found[5], Dropped)
    assert (found[5].reason, found[5].id) == ("data.jsonl", "a.jsonl:6")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"[1, 2]", "data.jsonl"),
        (b'"text"', "data.jsonl"),
        (b"[" * 100_000, "data.jsonl"),
        (b'{"txt": "x"}', "data.field"),
        (b'{"text": null}', "data.field"),
        (b'{"text": 3}', "data.field"),
        (b'{"text": "\xff"}', "data.encoding"),
        (b'{"text": "\\ud800"}', "data.encoding"),
    ],
)
def test_a_bad_jsonl_row_stops_with_its_place_or_is_skipped_with_its_reason(
    tmp_path: Path, line: bytes, code: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES + line + b"\n")
    problem = error("jsonl", path)
    assert problem.code == code
    assert "a.jsonl:6" in problem.line()
    dropped = read("jsonl", path, on_error="skip")[-1]
    assert isinstance(dropped, Dropped)
    assert (dropped.reason, dropped.id) == (code, "a.jsonl:6")


def test_a_missing_field_suggests_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"content": "x"}\n')
    assert "did you mean 'content'?" in error("jsonl", path, text_field="contents").line()


def test_an_endless_jsonl_line_is_read_past_and_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "' + b"x" * 3_000_000 + b'"}\n' + LINES)
    found = read("jsonl", path, max_bytes=1000)
    assert isinstance(found[0], Dropped)
    assert (found[0].reason, found[0].bytes) == ("clean.long", 3_000_013)
    assert len(found) == 6


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_truncated_file_stops_or_keeps_what_could_be_read(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    many = b"".join(json.dumps({"text": f"{n * 7919 % 10007} x"}).encode() + b"\n" for n in range(20_000))
    whole = compress(many, suffix)
    path.write_bytes(whole[: int(len(whole) * share)])
    assert error("jsonl", path).code == "data.truncated"
    found = read("jsonl", path, on_error="skip")
    assert isinstance(found[-1], Dropped)
    assert found[-1].reason == "data.truncated"
    assert 0 < len(found) < 20_000


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged_compression_is_a_clear_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(b"this is not compressed at all, not even a little")
    assert error("jsonl", path).code == "data.unreadable"


@pytest.mark.parametrize(
    ("lines", "code", "place"),
    [
        (b"repo,txt\na,b\n", "data.field", "a.csv:1"),
        (b"repo,text\na,b\nc\n", "data.csv", "a.csv:3"),
        (b"repo,text\na,b\nc,\xff\n", "data.encoding", "a.csv:3"),
        (b'repo,text\na,"never closed\n', "data.csv", "a.csv:2"),
    ],
)
def test_a_bad_csv_row_stops_with_its_place(tmp_path: Path, lines: bytes, code: str, place: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(lines)
    problem = error("csv", path)
    assert problem.code == code
    assert place in problem.line()


def test_a_bad_csv_row_is_skipped_and_the_next_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'repo,text\na,one\nb,"two \xff\nlines"\nc\n\nd,"three\nlines"\n')
    found = read("csv", path, on_error="skip")
    assert [d.reason if isinstance(d, Dropped) else d.text for d in found] == [
        "one",
        "data.encoding",
        "data.csv",
        "three\nlines",
    ]


def test_a_long_csv_field_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text\n"' + "x" * 200_000 + '"\n')
    assert len(texts("csv", path)[0]) == 200_000


def test_parquet_without_the_text_column_names_the_columns(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", [{"content": "x", "size": 1}])
    problem = error("parquet", path, text_field="contents")
    assert problem.code == "data.field"
    assert "content, size" in problem.line()
    assert "did you mean 'content'?" in problem.line()


def test_a_parquet_row_without_text_names_its_row(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", [*ROWS, {"text": None, "repo": "x"}])
    problem = error("parquet", path)
    assert (problem.code, "a.parquet:6" in problem.line()) == ("data.field", True)
    assert error("parquet", write_parquet(tmp_path / "b.parquet", [{"text": 3}])).code == "data.field"


@pytest.mark.parametrize("keep", [0, 3, 200])
def test_a_truncated_parquet_file_is_a_clear_error(tmp_path: Path, keep: int) -> None:
    path = write_parquet(tmp_path / "a.parquet", ROWS)
    path.write_bytes(path.read_bytes()[:keep])
    assert error("parquet", path).code == "data.truncated"
    (dropped,) = read("parquet", path, on_error="skip")
    assert isinstance(dropped, Dropped)


def test_a_table_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES)
    found = source("jsonl", path)
    found.inputs()
    path.write_bytes(LINES + LINES)
    with pytest.raises(DataError) as caught:
        list(found.documents())
    assert caught.value.code == "data.changed"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_missing_path_and_an_empty_folder_are_clear_errors(tmp_path: Path, kind: str) -> None:
    assert error(kind, tmp_path / "nothing").code == "data.path"
    assert error(kind, tmp_path).code == "data.empty"
    assert error(kind, f"{tmp_path}/*.none").code == "data.empty"


def test_an_unreadable_table_stops_or_is_skipped() -> None:
    assert error("jsonl", "/proc/self/mem").code == "data.unreadable"
    (dropped,) = read("jsonl", "/proc/self/mem", on_error="skip")
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "data.unreadable"
