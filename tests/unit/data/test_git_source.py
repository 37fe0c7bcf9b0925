from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from codex_ml.data.document import Document
from codex_ml.data.sources.git import GitSource
from codex_ml.errors import DataError
from corpora import data_config

pytestmark = pytest.mark.needs("train")


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / "pkg").mkdir(parents=True)
    git(root, "init", "-q")
    (root / "pkg" / "größe.py").write_bytes(b"x = 1\r\n")
    (root / "b.py").write_text("first = 1\n")
    (root / "link.py").symlink_to("b.py")
    (root / "image.jpg").write_bytes(b"\x00")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    return root


def contents(root: Path, **changes: object) -> dict[str, bytes]:
    source = GitSource(data_config("git", path=root, **changes))
    return {item.id: item.raw for item in source.documents() if isinstance(item, Document)}


def test_the_commit_is_read_and_not_the_work_tree(repository: Path) -> None:
    (repository / "b.py").write_text("changed = 2\n")
    (repository / "untracked.py").write_text("new = 3\n")
    assert contents(repository) == {"b.py": b"first = 1\n", "pkg/größe.py": b"x = 1\r\n"}
    assert contents(repository, exclude=("pkg/",)) == {"b.py": b"first = 1\n"}


def test_a_commit_is_named_by_any_revision_and_is_part_of_the_origin(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    (repository / "b.py").write_text("second = 2\n")
    git(repository, "commit", "-qam", "two")
    assert contents(repository, revision=first)["b.py"] == b"first = 1\n"
    assert contents(repository, revision="HEAD~1")["b.py"] == b"first = 1\n"
    assert contents(repository, revision="main")["b.py"] == b"second = 2\n"
    assert GitSource(data_config("git", path=repository, revision="HEAD~1")).origin == {"commit": first}


def test_a_bare_repository_will_do(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    assert "b.py" in contents(tmp_path / "bare.git")


def test_variables_that_point_git_elsewhere_are_ignored(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as inside a hook
    assert "b.py" in contents(repository)


def test_inputs_carry_the_digest_of_each_file(repository: Path) -> None:
    inputs = GitSource(data_config("git", path=repository)).inputs()
    assert [(item.path, item.size, len(item.sha256)) for item in inputs] == [
        ("b.py", 10, 64),
        ("pkg/größe.py", 7, 64),
    ]


@pytest.mark.parametrize("revision", ["no-such-branch", "--all", "HEAD:b.py"])
def test_an_unknown_revision_is_a_clear_error(repository: Path, revision: str) -> None:
    with pytest.raises(DataError) as caught:
        GitSource(data_config("git", path=repository, revision=revision))
    assert caught.value.code == "data.revision"


def test_a_folder_that_is_no_repository_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        GitSource(data_config("git", path=tmp_path))
    assert caught.value.code == "data.git"
    assert "\n" not in caught.value.line()


def test_a_lost_object_is_a_clear_error(repository: Path) -> None:
    oid = git(repository, "rev-parse", "HEAD:b.py")
    (repository / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(DataError) as caught:
        GitSource(data_config("git", path=repository)).inputs()
    assert caught.value.code == "data.git"


def test_git_itself_missing_is_a_clear_error(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DataError, match="needs the program git"):
        GitSource(data_config("git", path=repository))
