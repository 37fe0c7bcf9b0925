from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from codex_ml.core.digest import digest_file
from codex_ml.core.paths import Home
from codex_ml.errors import IntegrityError, UsageError
from codex_ml.provenance import keeping
from codex_ml.provenance.keeping import pack, removable, remove_run, still_removable
from codex_ml.provenance.run_directory import RunDirectory
from written_runs import write_run


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_a_packed_run_unpacks_to_the_same_bytes(home: Home, tmp_path: Path) -> None:
    directory = write_run(home, "a", loss=1.0)
    (directory.path / "checkpoints" / "step-00000001").mkdir(parents=True)
    (directory.path / "checkpoints" / "step-00000001" / "model.safetensors").write_bytes(
        bytes(range(256)) * 9
    )
    (directory.path / ".tmp-left").write_text("of a killed write", encoding="utf-8")
    first, second = tmp_path / "a.tar", tmp_path / "b.tar"
    assert pack(directory, first) == pack(directory, second) == digest_file(first)
    with tarfile.open(first) as packed:
        assert {member.uname for member in packed} == {""}
        packed.extractall(tmp_path / "out", filter="data")
    wanted = {p.name: digest_file(p) for p in directory.path.rglob("*") if p.is_file() and p.name[0] != "."}
    assert {p.name: digest_file(p) for p in (tmp_path / "out" / "a").rglob("*") if p.is_file()} == wanted


def test_a_file_that_exists_is_not_overwritten_and_a_bad_one_is_not_left(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write_run(home, "a", loss=1.0)
    target = tmp_path / "a.tar"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        pack(directory, target)
    assert caught.value.code == "runs.exists" and target.read_text(encoding="utf-8") == "mine"
    with pytest.raises(UsageError):
        pack(directory, directory.path / "inside.tar")
    monkeypatch.setattr(keeping, "_digest", lambda *_: "another")
    with pytest.raises(IntegrityError) as broken:
        pack(directory, tmp_path / "new.tar")
    assert broken.value.code == "runs.packed" and not (tmp_path / "new.tar").exists()


def test_only_what_nobody_goes_on_with_is_removable(home: Home) -> None:
    write_run(home, "finished", loss=1.0)
    write_run(home, "fresh")
    started = write_run(home, "started")
    started.journal.write_text("{}\n", encoding="utf-8")
    write_run(home, "old.archived-20260101-000000-abcd", loss=1.0)
    write_run(home, "parent.archived-20260101-000000-abcd", loss=1.0)
    write_run(home, "child", loss=1.0, parents=[{"run": "parent"}])
    write_run(home, "base.archived-20260101-000000-abcd", loss=1.0, weights="cd" * 32)
    write_run(home, "tuned", loss=1.0, inputs={"base_weights": "cd" * 32})
    found = {row.run: row.reason for row in removable(home, older_than=0)}
    assert found == {
        "fresh": "without a first step",
        "old.archived-20260101-000000-abcd": "moved aside",
    }
    assert removable(home, older_than=1) == []
    assert still_removable(home, "fresh", older_than=0)
    RunDirectory(home.run("fresh")).journal.write_text("{}\n", encoding="utf-8")
    assert not still_removable(home, "fresh", older_than=0)
    RunDirectory(home.run("fresh")).journal.unlink()
    with RunDirectory(home.run("fresh")).locked():
        assert "fresh" not in {row.run for row in removable(home, older_than=0)}


def test_a_removed_run_is_gone(home: Home) -> None:
    directory = write_run(home, "a")
    remove_run(directory)
    assert not directory.path.exists()
