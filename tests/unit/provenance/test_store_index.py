from __future__ import annotations

import json
from pathlib import Path

import pytest

from codex_ml.core.paths import Home
from codex_ml.core.publish import exclusive, staged
from codex_ml.core.store import lock_path
from codex_ml.errors import IntegrityError
from codex_ml.provenance.store_index import collect_garbage, store_entries

CORPUS, DATASET, TOKENIZER, UNUSED = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)


def entry(home: Home, kind: str, digest: str, *, size: int, **meta: str) -> Path:
    path = home.store / kind / digest
    with staged(path, meta=meta) as stage:
        (stage / "data").write_bytes(b"x" * size)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A store of four entries, of which one run needs three."""
    home = Home(tmp_path)
    entry(home, "corpora", CORPUS, size=5000)
    entry(home, "datasets", DATASET, size=3000, corpus=CORPUS)
    entry(home, "tokenizers", TOKENIZER, size=2000)
    entry(home, "datasets", UNUSED, size=9000)
    run = home.run("small")
    run.mkdir(parents=True)
    (run / "run.json").write_text(
        json.dumps(
            {
                **{name: {} for name in ("identity", "config", "resolved", "provenance")},
                **dict.fromkeys(("run_id", "identity_sha256"), "x"),
                "format": 1,
                "segments": [],
                "inputs": {"dataset": DATASET, "tokenizer": TOKENIZER},
            }
        )
    )
    return home


def test_entries_come_largest_first_with_their_size_and_users(home: Home) -> None:
    rows = store_entries(home)
    assert [(row.digest, row.used_by) for row in rows] == [
        (UNUSED, ()),
        (CORPUS, ("small",)),
        (DATASET, ("small",)),
        (TOKENIZER, ("small",)),
    ]
    for row in rows:
        assert row.size == sum(file.stat().st_size for file in row.path.iterdir())
        assert json.loads(json.dumps(row.as_dict()))["path"] == str(row.path)


def test_a_dry_run_removes_nothing_and_a_real_one_only_what_nobody_uses(home: Home) -> None:
    leftover = home.store / "datasets" / f"{DATASET}.damaged-0"
    leftover.mkdir()
    named = {row.digest for row in collect_garbage(home, dry_run=True)}
    assert named == {UNUSED, leftover.name}
    assert len(store_entries(home)) == 5
    assert {row.digest for row in collect_garbage(home, dry_run=False)} == named
    assert {row.digest for row in store_entries(home)} == {CORPUS, DATASET, TOKENIZER}


def test_what_is_being_built_right_now_stays(home: Home) -> None:
    stage = home.store / "datasets" / f".tmp-{'9' * 64}-12345678"
    stage.mkdir()
    with exclusive(lock_path(home.store / "datasets" / ("9" * 64))):
        assert {row.digest for row in collect_garbage(home, dry_run=False)} == {UNUSED}
        assert stage.is_dir()
    collect_garbage(home, dry_run=False)
    assert not stage.exists()


def test_a_run_that_cannot_be_read_stops_the_collection(home: Home) -> None:
    (home.run("small") / "run.json").write_text("{")
    with pytest.raises(IntegrityError):
        collect_garbage(home, dry_run=False)
    assert (home.store / "datasets" / UNUSED).is_dir()


def test_a_workspace_without_a_store_is_empty(tmp_path: Path) -> None:
    assert store_entries(Home(tmp_path)) == []
    assert collect_garbage(Home(tmp_path), dry_run=False) == []
