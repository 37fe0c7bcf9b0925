"""The error store: appended, merged, locked, compacted whole, read in every spelling."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from codex_ml.digest import store as module
from codex_ml.digest.store import ErrorStore
from codex_ml.errors import DataError, StorageError

RECORD = {"ts": "2025-09-05T10:00Z", "step": "1:train", "error": "ValueError: bad", "context": "c"}


@pytest.fixture
def store(tmp_path: Path) -> ErrorStore:
    return ErrorStore(tmp_path / ".codex" / "errors.ndjson")


def test_an_error_seen_again_is_one_entry_with_a_count(store: ErrorStore) -> None:
    store.add([RECORD])
    store.add([{**RECORD, "ts": "2025-09-06T10:00Z"}, {**RECORD, "error": "other"}])
    assert [(entry.error, entry.occurrences, entry.ts) for entry in store.entries()] == [
        ("ValueError: bad", 2, "2025-09-06T10:00Z"),
        ("other", 1, "2025-09-05T10:00Z"),
    ]


def test_a_resolved_error_is_open_again_when_it_comes_back_and_keeps_its_story(store: ErrorStore) -> None:
    name = store.add([RECORD])[0].fingerprint
    entry = store.resolve(name[:6], reason="pinned click", ts="2025-09-07T10:00Z")
    assert (entry.status, entry.resolution, entry.occurrences) == ("Resolved", "pinned click", 1)
    store.add([RECORD])
    entry = store.find(name)
    assert (entry.status, entry.resolution, entry.occurrences) == ("Open", "pinned click", 2)


def test_the_spellings_of_older_tools_are_read(store: ErrorStore) -> None:
    store.path.parent.mkdir()
    old = [
        {"ts": 1, "step": "2:lint", "err": "boom", "ctx": {"file": "a"}},
        {"error": "bang", "context": "here"},
    ]
    store.path.write_text("".join(json.dumps(row) + "\n" for row in old))
    first, second = store.entries()
    assert (first.ts, first.step, first.error, first.context) == ("1", "2:lint", "boom", '{"file": "a"}')
    assert (second.error, second.context, second.status) == ("bang", "here", "Open")


def test_a_record_without_an_error_is_a_damaged_line_and_no_entry(store: ErrorStore) -> None:
    store.add([RECORD])
    with store.path.open("ab") as stream:
        stream.write(b'{"ts": 1}\n{"error": null, "step": "1:x"}\n{"err": "boom"}\n')
    assert [entry.error for entry in store.entries()] == ["ValueError: bad", "boom"]
    assert store.unreadable() == [f"{store.path}:{line} tells of no error" for line in (2, 3)]


def test_a_torn_last_line_is_cut_by_the_next_write_and_a_damaged_one_is_named(store: ErrorStore) -> None:
    store.add([RECORD])
    with store.path.open("ab") as stream:
        stream.write(b'[1]\n{"ts": "half')
    assert len(store.entries()) == 1
    store.add([RECORD])
    assert store.entries()[0].occurrences == 2
    assert store.unreadable() == [f"{store.path}:2 is no record"]


def test_compaction_keeps_every_entry_and_its_count(
    store: ErrorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGE", 1)
    for number in range(20):
        store.add([{**RECORD, "error": f"E{number % 2}"}])
    assert len(store.path.read_text().splitlines()) == 2
    assert [(entry.error, entry.occurrences) for entry in store.entries()] == [("E0", 10), ("E1", 10)]


def test_a_file_with_damaged_lines_is_never_compacted(
    store: ErrorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([RECORD])
    with store.path.open("ab") as stream:
        stream.write(b"not json\n")
    monkeypatch.setattr(module, "_LARGE", 1)
    store.add([RECORD] * 9)
    assert b"not json\n" in store.path.read_bytes()


def _add_many(path: str) -> None:
    for _ in range(20):
        ErrorStore(Path(path)).add([RECORD])


def test_writers_in_several_processes_lose_nothing(store: ErrorStore) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add_many, args=(str(store.path),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert store.entries()[0].occurrences == 60


def test_the_same_input_counts_once(store: ErrorStore) -> None:
    record = {**RECORD, "fingerprint": "a" * 16}
    assert len(store.add_from("f" * 64, [record])) == 1
    assert store.add_from("f" * 64, [record]) == []
    assert len(store.add_from("e" * 64, [record])) == 1
    assert store.entries()[0].occurrences == 2


@pytest.mark.parametrize("compacted", [False, True])
def test_an_input_read_again_after_another_counts_once_and_opens_nothing(
    store: ErrorStore, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    if compacted:
        monkeypatch.setattr(module, "_LARGE", 1)
    record = {**RECORD, "fingerprint": "a" * 16}
    for source in ("a", "b", "a"):
        store.add_from(source * 64, [record])
    assert store.entries()[0].occurrences == 2
    store.resolve("a", reason="mended", ts=None)
    assert store.add_from("a" * 64, [record]) == []
    assert store.entries()[0].status == "Resolved"
    assert len(store.add_from("c" * 64, [record])) == 1
    entry = store.entries()[0]
    assert (entry.status, entry.occurrences, entry.source) == ("Open", 3, "c" * 64)
    assert (len(store.path.read_text().splitlines()) == 1) is compacted


@pytest.mark.parametrize("name", ["", "zz"])
def test_an_id_that_is_none_is_an_error(store: ErrorStore, name: str) -> None:
    store.add([RECORD])
    with pytest.raises(DataError) as caught:
        store.find(name)
    assert caught.value.code == "errors.id"


def test_an_id_that_is_not_unique_is_an_error_naming_them(store: ErrorStore) -> None:
    store.add([{**RECORD, "fingerprint": "ab12"}, {**RECORD, "fingerprint": "ab34"}])
    with pytest.raises(DataError, match="ab12, ab34"):
        store.find("ab")


def test_a_secret_is_not_written(store: ErrorStore) -> None:
    token = "ghp_" + "a1B2" * 9
    store.add([{**RECORD, "error": f"push with {token}", "detail": f"frame {token}"}])
    name = store.entries()[0].fingerprint
    store.resolve(name, reason=f"rotated {token}", ts=None)
    assert token not in store.path.read_text()


def test_a_folder_in_place_of_the_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        ErrorStore(tmp_path).entries()
    assert caught.value.code == "errors.store"
