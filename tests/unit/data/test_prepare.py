"""From a source to packed tokens: content-addressed, verified, rebuilt, safe against kills and neighbours."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codex_ml.core.paths import Home
from codex_ml.core.publish import verify_directory
from codex_ml.data.columns import read_rows
from codex_ml.data.corpus import prepare_corpus
from codex_ml.data.prepare import DatasetRef, prepare_dataset
from codex_ml.data.sample import sample_texts
from codex_ml.data.split import assign
from codex_ml.errors import DataError, StorageError
from codex_ml.registry import registry_for
from corpora import data_config, split_config, tokenizer_config, write_packages

pytestmark = pytest.mark.needs("train")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return write_packages(tmp_path / "src")


def prepare(path: Path, home: Path, *, context: int = 32, progress: Any = None, **changes: Any) -> DatasetRef:
    return prepare_dataset(
        data_config(path=path, **changes),
        tokenizer_cfg=tokenizer_config(),
        context=context,
        home=Home(home),
        progress=progress,
        threads=1,
    )


def store(home: Path, kind: str) -> list[str]:
    folder = home / ".codex" / "store" / kind
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_tokens_are_the_documents_each_closed_by_the_end_token(packages: Path, tmp_path: Path) -> None:
    ref = prepare(packages, tmp_path)
    tokenizer = ref.tokenizer.open()
    for split in ("train", "validation"):
        packed = ref.split(split)
        tokens, valid = packed.eval_batch(np.arange(packed.eval_rows()))
        stream = [int(tokens[0, 0]), *tokens[:, 1:][valid].tolist()]
        wanted: list[int] = []
        for document in ref.corpus.documents(split):
            wanted += [*tokenizer.encode(document.text), tokenizer.eos_id]
            assert document.sha256 == hashlib.sha256((packages / document.path).read_bytes()).hexdigest()
        assert stream == wanted
        assert packed.bytes == sum(document.bytes for document in ref.corpus.documents(split))


def test_groups_go_whole_into_one_split_named_by_their_hash(packages: Path, tmp_path: Path) -> None:
    ref = prepare(packages, tmp_path)
    rows = list(read_rows(ref.directory / "documents.parquet", columns=["split", "group", "path"]))
    assert len(rows) == 24
    for split, group, path in rows:
        assert split == assign(group, cfg=split_config())
        assert path.startswith(group)


def test_the_manifest_lists_every_input_with_its_digest(packages: Path, tmp_path: Path) -> None:
    ref = prepare(packages, tmp_path)
    for row in ref.corpus.manifest["inputs"]:
        raw = (packages / row["path"]).read_bytes()
        assert (row["size"], row["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert len(ref.corpus.manifest["inputs"]) == 24
    assert ref.manifest["inputs_sha256"] == ref.corpus.manifest["inputs_sha256"]
    assert str(packages) not in json.dumps([ref.manifest, ref.corpus.manifest])


def test_prepared_again_it_is_found_and_nothing_is_built(packages: Path, tmp_path: Path) -> None:
    first = prepare(packages, tmp_path)
    work: list[str] = []
    again = prepare(packages, tmp_path, progress=lambda done, total, what: work.append(what))
    assert again == first
    assert set(work) == {"hash inputs"}


def test_data_is_named_by_its_bytes_and_not_by_its_path(packages: Path, tmp_path: Path) -> None:
    first = prepare(packages, tmp_path)
    moved = packages.rename(tmp_path / "moved")
    assert prepare(moved, tmp_path).digest == first.digest


def test_one_changed_byte_gives_another_digest(packages: Path, tmp_path: Path) -> None:
    first = prepare(packages, tmp_path)
    file = packages / "pkg03" / "mod1.py"
    file.write_bytes(file.read_bytes().replace(b"def", b"deF", 1))
    second = prepare(packages, tmp_path)
    assert second.corpus.digest != first.corpus.digest
    assert second.digest != first.digest


@pytest.mark.parametrize(
    "changes",
    [{"context": 16}, {"split": split_config(salt="other")}, {"min_bytes": 2}, {"exclude": ("pkg00/",)}],
)
def test_what_changes_the_content_changes_the_digest(
    packages: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert prepare(packages, tmp_path).digest != prepare(packages, tmp_path, **changes).digest


def test_the_code_and_arguments_of_a_source_from_elsewhere_are_part_of_the_digest(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
from codex_ml.data.sources.files import FilesSource
class Mine(FilesSource):
    def __init__(self, cfg, *, every=1): super().__init__(cfg)
"""
    package = tmp_path / "plugin_source"
    package.mkdir()
    (package / "__init__.py").write_text(source)

    def digest(helper: str, kwargs: dict[str, Any]) -> str:
        (package / "helper.py").write_text(helper)
        registry_for.cache_clear()
        registry_for("data_sources").register("mine", "plugin_source:Mine", kwargs=kwargs)
        return prepare_corpus(data_config("mine", path=packages), home=Home(tmp_path / "home")).digest

    monkeypatch.syspath_prepend(tmp_path)
    one = digest("a = 1", {})
    assert digest("a = 1", {}) == one
    assert len({one, digest("a = 2", {}), digest("a = 1", {"every": 2}), digest("a = 1", {"every": 3})}) == 4
    registry_for.cache_clear()
    sys.modules.pop("plugin_source", None)


def test_shard_length_changes_neither_digest_nor_rows(packages: Path, tmp_path: Path) -> None:
    one = prepare(packages, tmp_path / "a")
    two = prepare(packages, tmp_path / "b", shard_tokens=1024)
    assert one.digest == two.digest
    assert len(two.manifest["splits"]["train"]["shards"]) > 2
    rows = np.arange(one.split("train").rows)
    assert np.array_equal(one.split("train").batch(rows), two.split("train").batch(rows))


@pytest.mark.parametrize("kind", ["corpora", "tokenizers", "datasets"])
def test_a_damaged_entry_is_named_set_aside_and_rebuilt_equal(
    packages: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    first = prepare(packages, tmp_path)
    (name,) = store(tmp_path, kind)
    entry = tmp_path / ".codex" / "store" / kind / name
    file = max((p for p in entry.iterdir() if p.name != "MANIFEST.json"), key=lambda p: p.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert prepare(packages, tmp_path).digest == first.digest
    assert f"{name}.damaged-" in caplog.text
    assert file.name in caplog.text
    verify_directory(entry)


def test_dropped_documents_are_counted_and_listed(packages: Path, tmp_path: Path) -> None:
    (packages / "pkg00" / "copy.py").write_bytes((packages / "pkg00" / "mod0.py").read_bytes())
    (packages / "pkg01" / "bad.py").write_bytes(b"x = '\xff'")
    (packages / "pkg02" / "empty.py").write_bytes(b"")
    ref = prepare(packages, tmp_path, on_error="skip")
    counts = {reason: row["documents"] for reason, row in ref.corpus.manifest["dropped"].items()}
    assert counts == {"dedup.exact": 1, "data.encoding": 1, "clean.short": 1}
    assert sorted((item.path, item.reason) for item in ref.corpus.dropped()) == [
        ("pkg00/mod0.py", "dedup.exact"),
        ("pkg01/bad.py", "data.encoding"),
        ("pkg02/empty.py", "clean.short"),
    ]


def test_without_dedup_equal_texts_stay(packages: Path, tmp_path: Path) -> None:
    (packages / "pkg00" / "copy.py").write_bytes((packages / "pkg00" / "mod0.py").read_bytes())
    assert prepare(packages, tmp_path, dedup="none").corpus.manifest["dropped"] == {}


def test_bad_input_leaves_nothing_behind_that_a_later_run_would_trust(packages: Path, tmp_path: Path) -> None:
    bad = packages / "pkg11" / "zz.py"
    bad.write_bytes(b"\xff")
    with pytest.raises(DataError) as caught:
        prepare(packages, tmp_path)
    assert caught.value.code == "data.encoding"
    assert store(tmp_path, "corpora") == []
    bad.unlink()
    verify_directory(prepare(packages, tmp_path).directory)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"min_bytes": 90_000}, "data.empty"),
        ({"split": split_config(train=0.999999, validation=0.000001)}, "data.split-empty"),
        ({"context": 100_000}, "data.small"),
    ],
)
def test_too_little_is_a_clear_error(
    packages: Path, tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(DataError) as caught:
        prepare(packages, tmp_path, **changes)
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    assert caught.value.next_step
    assert store(tmp_path, "datasets") == []


def test_the_depth_that_an_empty_split_suggests_is_the_smallest_that_works(tmp_path: Path) -> None:
    write_packages(tmp_path / "repo" / "src" / "project", packages=8)
    with pytest.raises(DataError) as caught:
        prepare_corpus(data_config(path=tmp_path / "repo"), home=Home(tmp_path))
    assert caught.value.code == "data.split-empty"
    assert str(caught.value.next_step).startswith("set data.group_depth=3, ")
    with pytest.raises(DataError):
        prepare_corpus(data_config(path=tmp_path / "repo", group_depth=2), home=Home(tmp_path))
    ref = prepare_corpus(data_config(path=tmp_path / "repo", group_depth=3), home=Home(tmp_path))
    assert all(list(ref.documents(split)) for split in ("train", "validation"))


def test_the_training_sample_is_bounded_spread_and_deterministic(packages: Path, tmp_path: Path) -> None:
    corpus = prepare_corpus(data_config(path=packages), home=Home(tmp_path))
    total = corpus.manifest["splits"]["train"]["bytes"]
    every = [document.text for document in corpus.documents("train")]
    assert list(sample_texts(corpus, split="train", limit=total)) == every
    half = list(sample_texts(corpus, split="train", limit=total // 2))
    assert half == list(sample_texts(corpus, split="train", limit=total // 2))
    assert total // 3 < sum(len(text.encode()) for text in half) <= total // 2
    places = [every.index(text) for text in half]
    assert places == sorted(places)
    assert places[0] < len(every) // 3
    assert places[-1] > 2 * len(every) // 3
    with pytest.raises(DataError) as caught:
        list(sample_texts(corpus, split="train", limit=100))
    assert caught.value.code == "tokenizer.train-bytes"


SCRIPT = """
import os, resource, signal, sys
from pathlib import Path
from codex_ml.core.paths import Home
from codex_ml.data.prepare import prepare_dataset
from codex_ml.errors import CodexError
from codex_ml.registry import registry_for
from corpora import data_config, tokenizer_config

source, home, mode = sys.argv[1:]
if mode == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

def progress(done, total, what):
    if mode == what:
        os.kill(os.getpid(), signal.SIGKILL)

try:
    ref = prepare_dataset(data_config(path=source), tokenizer_cfg=tokenizer_config(), context=32,
                          home=Home(Path(home)), progress=progress, threads=1)
except CodexError as error:
    sys.exit(error.line())
print(ref.digest)
"""
Run = Callable[..., Any]


def in_process(run: Run, source: Path, home: Path, mode: str) -> Any:
    tests = str(Path(__file__).resolve().parents[2])
    env: dict[str, str | None] = {"PYTHONPATH": tests}
    if mode == "full":
        env["COVERAGE_PROCESS_CONFIG"] = None  # the limit on file sizes would hit its data file too
    return run(sys.executable, "-c", SCRIPT, source, home, mode, env=env)


@pytest.mark.parametrize("moment", ["read documents", "train tokenizer", "tokenize"])
def test_killed_at_any_stage_the_same_call_finishes_and_sweeps(
    run: Run, packages: Path, tmp_path: Path, moment: str
) -> None:
    assert in_process(run, packages, tmp_path, moment).code == -9
    ref = prepare(packages, tmp_path)
    for kind in ("corpora", "tokenizers", "datasets"):
        assert len(store(tmp_path, kind)) == 1
    verify_directory(ref.directory)


def test_two_processes_at_once_end_with_one_good_entry(run: Run, packages: Path, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(in_process, run, packages, tmp_path, "none") for _ in range(2)]
        results = [job.result() for job in jobs]
    assert [result.code for result in results] == [0, 0], results
    assert results[0].out == results[1].out
    for kind in ("corpora", "tokenizers", "datasets"):
        (name,) = store(tmp_path, kind)
        verify_directory(tmp_path / ".codex" / "store" / kind / name)


def test_a_full_disk_is_a_clear_error_and_the_next_call_finishes(
    run: Run, packages: Path, tmp_path: Path
) -> None:
    result = in_process(run, packages, tmp_path, "full")
    assert result.code == 1
    assert "[storage.full]" in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert store(tmp_path, "corpora") == []
    verify_directory(prepare(packages, tmp_path).directory)


def test_no_write_permission_is_a_clear_error(packages: Path) -> None:
    with pytest.raises(StorageError) as caught:
        prepare(packages, Path("/sys/codex-home"))  # refused even to root
    assert caught.value.code == "storage.permission"


def test_progress_counts_up_to_the_total(packages: Path, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int | None]]] = {}
    prepare(
        packages, tmp_path, progress=lambda done, total, what: seen.setdefault(what, []).append((done, total))
    )
    assert list(seen) == ["hash inputs", "read documents", "train tokenizer", "tokenize"]
    for what in ("read documents", "tokenize"):
        done = [row[0] for row in seen[what]]
        assert done == sorted(done)
        assert seen[what][-1][0] == seen[what][-1][1]
