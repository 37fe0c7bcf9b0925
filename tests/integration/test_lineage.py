"""`codex-ml lineage`: a step to its documents, a document to what descends from it, Croissant."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from codex_ml.core.digest import digest_file
from codex_ml.data.columns import read_rows
from codex_ml.data.packed import PackedSplit
from codex_ml.training.journal import read_journal

pytestmark = pytest.mark.needs("train", "report")


@pytest.fixture(scope="module")
def family(trained: Path, tmp_path_factory: pytest.TempPathFactory, cli) -> Path:
    """The finished run ``tiny`` and ``child``, which goes on from its weights on other data."""
    root = tmp_path_factory.mktemp("family")
    home = root / "home"
    shutil.copytree(trained, home)
    source = root / "source"
    for name in ("a", "b", "c"):
        (source / name).mkdir(parents=True)
        text = "".join(f"def {name}_{n}(x):\n    return x + {n}\n\n\n" for n in range(400))
        (source / name / "mod.py").write_text(f"# SPDX-License-Identifier: MIT\n{text}", encoding="utf-8")
    (source / "LICENSE").write_text("Apache License\nVersion 2.0, January 2004\n", encoding="utf-8")
    (source / "c" / "mod.py").write_text("".join(f"c{n} = {n}\n" for n in range(3000)), encoding="utf-8")
    tokenizer = next((home / ".codex" / "store" / "tokenizers").iterdir())
    words = [
        *("experiment=tiny", "name=child", "train.init_from=tiny", "train.steps=6", "data=files"),
        *(
            f"data.path={source}",
            "data.split.train=1.0",
            "data.split.validation=0.0",
            "eval.every=0",
            "checkpoint.keep_best=0",
        ),
        *(f"tokenizer.path={tokenizer}", "data.include=[]", "train.schedule.warmup_steps=1"),
    ]
    done = cli(home, "train", *words, "--json")
    assert done.code == 0, done.err
    return home


def test_the_documents_of_a_step_are_those_whose_tokens_are_in_its_batch(trained: Path, cli) -> None:
    done = cli(trained, "lineage", "tiny", "--step", "7", "--json")
    assert done.code == 0, done.err
    found = {row["path"]: set(row["rows"]) for row in done.json["documents"]}
    record = json.loads((trained / "runs" / "tiny" / "run.json").read_text(encoding="utf-8"))
    dataset = trained / ".codex" / "store" / "datasets" / record["inputs"]["dataset"]
    split = PackedSplit.open(dataset, "train")
    rows = sorted({row for part in found.values() for row in part})
    wanted: dict[str, set[int]] = {}
    for row in rows:
        for document in split.row_documents(row):
            wanted.setdefault(document.path, set()).add(row)
    assert found == wanted
    lines = list(read_journal(trained / "runs" / "tiny" / "journal.jsonl"))
    assert len(rows) == 8
    from codex_ml.data.order import batch_rows

    batch = batch_rows(6, seed=record["config"]["seed"], rows=split.rows, batch_size=8)
    assert lines[6]["samples"] == hashlib.sha256(batch.astype("<i8").tobytes()).hexdigest()
    assert set(np.unique(batch).tolist()) == set(rows)


def test_every_document_has_the_digest_of_its_file_and_its_licence(trained: Path, cli) -> None:
    import sysconfig

    stdlib = Path(sysconfig.get_paths()["stdlib"])
    documents = cli(trained, "lineage", "tiny", "--step", "1", "--json").json["documents"]
    assert documents
    for row in documents:
        assert row["sha256"] == digest_file(stdlib / row["path"])
        assert row["licence"] in ("PSF-2.0", "unknown")


def test_licences_come_from_the_document_before_the_file_beside_it(family: Path, cli) -> None:
    done = cli(family, "lineage", "child", "--json")
    assert done.code == 0, done.err
    assert {name: share["documents"] for name, share in done.json["licences"].items()} == {
        "MIT": 2,
        "Apache-2.0": 1,
    }
    assert done.json["parents"][0]["run"] == "tiny"
    assert len(done.json["merkle_root"]) == 64


def test_a_document_is_followed_into_every_run_that_saw_or_inherited_it(family: Path, cli) -> None:
    record = json.loads((family / "runs" / "tiny" / "run.json").read_text(encoding="utf-8"))
    dataset = family / ".codex" / "store" / "datasets" / record["inputs"]["dataset"]
    columns = ["split", "path", "sha256"]
    table = list(read_rows(dataset / "documents.parquet", columns=columns))
    _, path, sha256 = next(row for row in table if row[0] == "train")
    done = cli(family, "lineage", "--document", sha256, "--json")
    assert done.code == 0, done.err
    by_run = {row["run"]: row for row in done.json["runs"]}
    assert by_run["tiny"]["state"] in ("trained", "unseen")
    seen = {row["path"] for step in by_run["tiny"]["steps"] for row in _documents(cli, family, step)}
    assert not by_run["tiny"]["steps"] or path in seen
    everywhere = _documents(cli, family, 1)[0]
    inherited = cli(family, "lineage", "--document", everywhere["sha256"][:16], "--json").json["runs"]
    states = {row["run"]: row for row in inherited}
    assert states["tiny"]["state"] == "trained" and 1 in states["tiny"]["steps"]
    assert states["tiny"]["export"].endswith("runs/tiny/export")
    assert (states["child"]["state"], states["child"]["through"]) == ("inherited", "tiny")
    held = next(row for row in table if row[0] == "validation")
    (only,) = cli(family, "lineage", "--document", held[2], "--json").json["runs"]
    assert (only["state"], only["detail"]) == ("held out", "in the split 'validation'")
    by_path = cli(family, "lineage", "--document", held[1], "--json").json["runs"]
    assert [row["sha256"] for row in by_path] == [held[2]]


def _documents(cli, home: Path, step: int) -> list[dict]:
    return cli(home, "lineage", "tiny", "--step", str(step), "--json").json["documents"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["lineage", "--document", "0" * 64], "lineage.document"),
        (["lineage", "tiny", "--step", "41"], "lineage.step"),
        (["lineage"], "usage"),
        (["lineage", "tiny", "--document", "x"], "usage"),
        (["lineage", "tini"], "run.missing"),
    ],
)
def test_what_cannot_be_answered_is_an_error_that_says_so(words: list[str], code: str, trained, cli) -> None:
    done = cli(trained, *words, "--json")
    assert (done.code, done.json["error"]["code"]) == (2, code)


def test_a_batch_that_the_journal_does_not_name_is_refused(trained: Path, tmp_path: Path, cli) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    manifest = home / "runs" / "tiny" / "run.json"
    record = json.loads(manifest.read_text(encoding="utf-8"))
    record["config"]["seed"] += 1
    manifest.write_text(json.dumps(record), encoding="utf-8")
    done = cli(home, "lineage", "tiny", "--step", "3", "--json")
    assert done.json["error"]["code"] == "lineage.journal"


def test_a_run_whose_data_is_gone_says_how_to_make_it_again(trained: Path, tmp_path: Path, cli) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    shutil.rmtree(home / ".codex" / "store" / "datasets")
    done = cli(home, "lineage", "tiny", "--step", "3", "--json")
    assert done.json["error"]["code"] == "lineage.data"


def test_croissant_names_files_that_are_there_with_their_digests(family: Path, tmp_path: Path, cli) -> None:
    file = tmp_path / "croissant.json"
    done = cli(family, "lineage", "child", "--croissant", str(file), "--json")
    assert done.code == 0, done.err
    described = json.loads(file.read_text(encoding="utf-8"))
    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert sorted(described["license"]) == ["Apache-2.0", "MIT"]
    for item in described["distribution"]:
        assert digest_file((tmp_path / item["contentUrl"]).resolve()) == item["sha256"]
    fields = {field["name"] for part in described["recordSet"] for field in part["field"]}
    assert {"id", "path", "sha256", "text"} <= fields
    sources = {item["name"]: item["sc:sha256"] for item in described["prov:wasDerivedFrom"]}
    assert sources["a/mod.py"] == digest_file(family.parent / "source" / "a" / "mod.py")
