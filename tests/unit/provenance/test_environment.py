from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import codex_ml
from codex_ml.core.digest import canonical_json
from codex_ml.provenance.environment import ALLOWED_VARIABLES, capture_env, cpu_name, usable_cores
from codex_ml.provenance.git import git_state


def test_no_value_of_another_variable_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = "hunter2-" + "x" * 20
    for name in ("AWS_SECRET_ACCESS_KEY", "CODEX_NAME", "HF_TOKEN", "LD_PRELOAD_NOTE"):
        monkeypatch.setenv(name, planted)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    record = capture_env()
    assert planted not in json.dumps(record)
    assert record["variables"]["OMP_NUM_THREADS"] == "3"
    assert set(record["variables"]) <= set(ALLOWED_VARIABLES)


def test_the_record_is_json_with_the_facts_of_this_machine() -> None:
    record = capture_env()
    assert json.loads(canonical_json(record)) == record
    assert record["python"] == sys.version.split()[0]
    assert record["packages"]["numpy"] == __import__("numpy").__version__
    assert record["cores"] == usable_cores() >= 1
    assert cpu_name() == record["cpu"] != ""


def test_the_rest_of_an_interrupted_uninstallation_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "~umpy-2.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    record = capture_env()
    assert json.loads(canonical_json(record)) == record


def test_the_source_digest_changes_with_one_byte_of_code_or_config(tmp_path: Path, run) -> None:
    copy = tmp_path / "codex_ml"
    shutil.copytree(Path(codex_ml.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from codex_ml.provenance.environment import source_digest\n"
        "import codex_ml; assert codex_ml.__file__.startswith(sys.argv[1]); print(source_digest())"
    )

    def digest() -> str:
        done = run(sys.executable, "-c", program, tmp_path)
        assert done.code == 0, done.err
        return done.out.strip()

    seen = [digest(), digest()]
    assert seen[0] == seen[1] == capture_env()["codex_ml"]["source_sha256"]
    for file in (copy / "training" / "step.py", copy / "configs" / "model" / "tiny.yaml"):
        file.write_bytes(file.read_bytes() + b"\n")
        seen.append(digest())
    assert len(set(seen)) == 3


# ---- git -----------------------------------------------------------------------------------------


def git(directory: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(directory), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_outside_a_repository_there_is_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None


def test_without_git_there_is_no_state(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert git_state(repository) is None


def test_commit_branch_and_changes_are_recorded(repository: Path) -> None:
    state = git_state(repository)
    assert state is not None
    assert len(state["commit"]) == 40
    assert (state["branch"], state["dirty"], state["origin"]) == ("trunk", False, None)
    (repository / "file").write_text("two")
    changed = git_state(repository)
    assert changed is not None and changed["dirty"] is True


@pytest.mark.parametrize(
    ("remote", "kept"),
    [
        ("https://{}@example.org/team/code.git", "https://example.org/team/code.git"),
        ("https://token@example.org/code.git", "https://example.org/code.git"),
        ("https://{}@more@example.org/code.git", "https://example.org/code.git"),
        ("ssh://secret@example.org:22/code.git", "ssh://example.org:22/code.git"),
        ("https://example.org/a@b.git", "https://example.org/a@b.git"),
        ("git@example.org:team/code.git", "git@example.org:team/code.git"),
        ("/srv/code.git", "/srv/code.git"),
    ],
)
def test_user_info_never_leaves_the_remote(repository: Path, remote: str, kept: str) -> None:
    git(repository, "remote", "add", "origin", remote.format("someone:hunter2"))
    state = git_state(repository)
    assert state is not None
    assert state["origin"] == kept
