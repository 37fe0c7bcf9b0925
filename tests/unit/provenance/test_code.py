"""The state of a repository as a run records it: complete where it can be, without secrets, in time."""

from __future__ import annotations

import os
import string
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.digest import digest_bytes
from codex_ml.provenance import untracked
from codex_ml.provenance.code import CodeState, capture_code, source_digest, without_user
from codex_ml.provenance.patch import clean_patch
from planted import PRIVATE_KEY, draw

#: Files of the large repository; the number of the issue with CODEX_LARGE=full.
LARGE = 100_000 if os.environ.get("CODEX_LARGE") == "full" else 20_000


def git(directory: Path, *words: str, text: str | None = None) -> str:
    options = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    allow = ("-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", "-C", str(directory), *options, *allow, *words],
        check=True,
        capture_output=True,
        text=True,
        input=text,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "-q", "-b", "trunk")
    (path / "file").write_text("one\n")
    (path / ".gitignore").write_text("ignored/\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "first")
    return path


def facts(directory: Path, **options: Any) -> dict[str, Any]:
    return capture_code(directory, **options).facts


def test_commit_branch_tags_and_a_clean_state(repository: Path) -> None:
    git(repository, "tag", "v1.0")
    git(repository, "tag", "-a", "release", "-m", "text")
    found = facts(repository / ".")
    assert found["commit"] == git(repository, "rev-parse", "HEAD")
    assert (found["branch"], found["detached"]) == ("trunk", False)
    assert sorted(found["tags"]) == ["release", "v1.0"]
    assert (found["dirty"], found["diff"], found["untracked"]["files"]) == (False, None, 0)
    assert found["source_sha256"] == source_digest()
    assert found["cut"] == []


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    found = facts(repository)
    assert (found["branch"], found["detached"], found["dirty"]) == (None, True, False)


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    found = facts(tmp_path)
    assert (found["vcs"], found["commit"], found["branch"], found["dirty"]) == ("git", None, "trunk", None)


def test_outside_a_repository_the_source_digest_is_the_code(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = facts(tmp_path)
    assert (found["vcs"], found["commit"], found["dirty"]) == (None, None, None)
    assert "not a git repository" in found["why"]
    assert found["source_sha256"] == source_digest()


def test_without_git_the_source_digest_is_the_code(repository: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = facts(repository)
    assert (found["vcs"], found["why"]) == (None, "git is not installed")
    assert found["source_sha256"] == source_digest()


def test_a_git_that_refuses_to_look_is_quoted(repository: Path, monkeypatch, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\necho \"fatal: detected dubious ownership in repository at '$3'\" >&2; exit 128\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/bin:/usr/bin")
    found = facts(repository)
    assert found["vcs"] is None
    assert found["why"].startswith("detected dubious ownership")


def test_changes_are_kept_as_a_patch_that_git_applies(repository: Path, tmp_path: Path) -> None:
    git(repository, "config", "diff.external", "/bin/false")  # a program of the repository's is not run
    (repository / "file").write_text("one\ntwo\n")
    git(repository, "mv", "file", "moved")
    state = capture_code(repository)
    assert state.facts["dirty"] is True
    diff = state.facts["diff"]
    raw = subprocess.run(
        ["git", "-C", repository, "diff", "HEAD", "--binary", "--full-index", "--no-ext-diff"],
        capture_output=True,
        check=True,
    ).stdout
    assert (diff["sha256"], diff["bytes"], diff["complete"]) == (digest_bytes(raw), len(raw), True)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    ((name, text),) = state.files().items()
    assert name == diff["file"]
    git(clone, "apply", "--index", text=text)
    assert (clone / "moved").read_text() == "one\ntwo\n"


def test_a_secret_in_a_change_is_not_in_the_patch(repository: Path) -> None:
    token, password, plain = (
        f"ghp_{draw('abcdefXYZ0123456789', 36)}",
        draw("abcXYZ0189", 20),
        draw("abcXYZ0189", 20),
    )
    (repository / ".env").write_text("ORDINARY=1\n")
    (repository / "deploy.pem").write_text("old\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "second")
    (repository / "file").write_text(f"fetch({token!r})\npassword = '{password}'\n{PRIVATE_KEY}\nkept\n")
    (repository / ".env").write_text(f"ORDINARY={plain}\n")
    (repository / "deploy.pem").write_text(f"{plain}\n")
    state = capture_code(repository)
    assert state.patch is not None
    for secret in (token, password, plain, PRIVATE_KEY.splitlines()[2]):
        assert secret not in state.patch
        assert secret not in repr(state.facts)
    assert "+kept" in state.patch
    assert state.patch.count("[left out: a file for secrets]") == 2
    # A digest of what a short secret stood in would let it be guessed.
    blob = git(repository, "hash-object", "file")
    assert blob not in state.patch
    assert state.facts["diff"]["sha256"] is None
    assert state.facts["diff"]["complete"] is False


def test_binary_content_and_what_is_too_long_are_left_out_and_said(repository: Path) -> None:
    (repository / "weights.bin").write_bytes(bytes(range(256)) * 40)
    (repository / "file").write_text("a line of text\n" * 60_000)
    git(repository, "add", ".")
    state = capture_code(repository)
    assert state.patch is not None
    assert len(state.patch) <= 1 << 19
    assert state.facts["diff"]["bytes"] > len(state.patch)
    assert state.facts["diff"]["complete"] is False
    binary = subprocess.run(
        ["git", "-C", repository, "diff", "HEAD", "--binary", "--", "weights.bin"],
        capture_output=True,
        check=True,
    ).stdout
    found = clean_patch(binary, most=1 << 20)
    assert (found.complete, found.redacted) == (False, False)
    assert found.text.endswith("GIT binary patch\n[left out: binary content]\n")


@pytest.mark.parametrize(
    ("remote", "kept"),
    [
        ("https://{}@example.org/team/code.git", "https://example.org/team/code.git"),
        ("https://token@example.org/code.git", "https://example.org/code.git"),
        ("https://{}@more@example.org/code.git", "https://example.org/code.git"),
        ("ssh://secret@example.org:22/code.git", "ssh://example.org:22/code.git"),
        ("https://example.org/a@b.git", "https://example.org/a@b.git"),
        (
            "https://example.org/x?access_token=hunter2hunter2",
            "https://example.org/x?access_token=[redacted:token]",
        ),
        ("git@example.org:team/code.git", "git@example.org:team/code.git"),
        ("/srv/code.git", "/srv/code.git"),
    ],
)
def test_user_info_never_leaves_a_remote(repository: Path, remote: str, kept: str) -> None:
    git(repository, "remote", "add", "origin", remote.format("someone:hunter2"))
    git(repository, "remote", "add", "other", "https://example.org/other.git")
    assert facts(repository)["remotes"] == {"origin": kept, "other": "https://example.org/other.git"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://u:pw@h.example/x@y", "https://h.example/x@y"),  # pragma: allowlist secret
        ("https://u:pa/ss@word88@h.example/x", "https://h.example/x"),  # pragma: allowlist secret
        ("https://h.example:8080/x@y", "https://h.example:8080/x@y"),
        ("deploy:colonPw77@h.example:path/repo", "h.example:path/repo"),
        ("git@h.example:path/repo", "git@h.example:path/repo"),
        ('ext::sh -c "sshpass -p extPw991 ssh h %S"', "ext::…"),
        ("/srv/git/x.git", "/srv/git/x.git"),
    ],
)
def test_of_an_address_the_user_and_the_password_go(given: str, kept: str) -> None:
    assert without_user(given) == kept


def test_an_address_without_user_info_stays() -> None:
    assert without_user("https://example.org:8080/x@y") == "https://example.org:8080/x@y"


# ---- files in no commit --------------------------------------------------------------------------


def test_untracked_files_are_digested_and_ignored_ones_left_out(repository: Path) -> None:
    (repository / "new.py").write_bytes(b"x = 1\n")
    (repository / "link").symlink_to("file")
    for folder in ("ignored", "runs/tiny"):
        (repository / folder).mkdir(parents=True)
        (repository / folder / "large.bin").write_bytes(b"0")
    found = facts(repository, leave_out=[repository / "runs"])["untracked"]
    assert found["listed"] == [
        {"path": "link", "kind": "link"},
        {"path": "new.py", "size": 6, "sha256": digest_bytes(b"x = 1\n")},
    ]
    assert (found["files"], found["left_out"]) == (2, 0)
    (repository / "new.py").write_bytes(b"x = 2\n")
    assert facts(repository, leave_out=[repository / "runs"])["untracked"]["sha256"] != found["sha256"]


def test_untracked_files_beyond_the_bounds_are_counted(repository: Path, monkeypatch) -> None:
    monkeypatch.setattr(untracked, "FILES", 3)
    monkeypatch.setattr(untracked, "FILE_BYTES", 10)
    for number in range(5):
        (repository / f"new{number}").write_bytes(b"0" * (20 if number == 1 else 5))
    found = facts(repository)
    assert (found["untracked"]["files"], found["untracked"]["left_out"]) == (5, 2)
    assert found["untracked"]["listed"][1] == {"path": "new1", "size": 20, "sha256": None}
    assert found["cut"] == ["untracked files: beyond 3 files only counted"]


@pytest.mark.parametrize("name", [".env", "keys/deploy.pem", "credentials.json"])
def test_an_untracked_file_for_secrets_has_no_digest(repository: Path, name: str) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("PIN=1234\n")
    found = facts(repository)["untracked"]
    assert found["listed"] == [{"path": name, "size": 9, "sha256": None}]
    assert digest_bytes(b"PIN=1234\n") not in repr(found)


def test_a_hundred_thousand_untracked_names_are_counted_in_time(tmp_path: Path) -> None:
    names = [f"runs/many/d{number // 500}/f{number}" for number in range(100_000)] + ["runs2", "kept"]
    started = time.perf_counter()
    found = untracked.digest_untracked(tmp_path, names, leave_out=[tmp_path / "store"], seconds=0.5)
    assert time.perf_counter() - started < 1.0
    assert found["files"] == found["left_out"] + len(found["listed"]) == 100_002
    own = [tmp_path / "runs", tmp_path.parent / "elsewhere"]
    left = untracked.digest_untracked(tmp_path, names, leave_out=own, seconds=0.5)
    assert [row["path"] for row in left["listed"]] == ["kept", "runs2"]
    assert untracked.digest_untracked(tmp_path, names, leave_out=[tmp_path.parent], seconds=1)["files"] == 0


def test_submodules_are_named_with_both_commits(repository: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "trunk")
    git(inner, "commit", "-q", "--allow-empty", "-m", "one")
    git(repository, "submodule", "add", "-q", str(inner), "libs/inner")
    git(repository, "commit", "-q", "-m", "with a submodule")
    wanted = git(inner, "rev-parse", "HEAD")
    assert facts(repository)["submodules"] == [{"path": "libs/inner", "wanted": wanted, "commit": wanted}]
    git(repository / "libs" / "inner", "commit", "-q", "--allow-empty", "-m", "two")
    now = facts(repository)
    assert now["submodules"][0]["wanted"] == wanted != now["submodules"][0]["commit"]
    assert now["dirty"] is True
    absent = tmp_path / "absent"
    git(tmp_path, "clone", "-q", str(repository), str(absent))
    assert facts(absent)["submodules"] == [{"path": "libs/inner", "wanted": wanted, "commit": None}]


# ---- time ----------------------------------------------------------------------------------------


def many_files(path: Path, count: int) -> None:
    """A repository of *count* files: one blob under many names, the files on the disk as hard links."""
    path.mkdir()
    git(path, "init", "-q", "-b", "trunk")
    (path / "blob").write_text("x\n")
    blob = git(path, "hash-object", "-w", "blob")
    names = [f"d{number // 500:03d}/f{number:06d}" for number in range(count)]
    git(path, "update-index", "--index-info", text="".join(f"100644 {blob}\t{name}\n" for name in names))
    for folder in {name.partition("/")[0] for name in names}:
        (path / folder).mkdir()
    for number, name in enumerate(names):
        if number % 1000 == 0:  # a file has a bounded number of links
            source = path / name
            source.write_text("x\n")
        else:
            os.link(source, path / name)
    (path / "blob").unlink()
    git(path, "commit", "-q", "-m", "many")
    git(path, "status")  # as a repository that someone works in: the index knows the files


def test_a_large_repository_is_captured_in_time(tmp_path: Path) -> None:
    repository = tmp_path / "many"
    many_files(repository, LARGE)
    (repository / "d000" / "f000001").unlink()
    (repository / "d000" / "f000001").write_text("changed\n")
    (repository / "new").write_text("new\n")
    started = time.perf_counter()
    found = facts(repository)
    assert time.perf_counter() - started < 1.5
    assert found["commit"]
    assert found["cut"] or (found["dirty"] and found["untracked"]["files"] == 1)


def test_a_long_change_is_captured_in_time(repository: Path) -> None:
    letters = string.ascii_letters + string.digits
    lines = [f'  {{"id": "{draw(letters, 22)}", "name": "{draw(letters, 18)}"}},\n' for _ in range(7_700)]
    (repository / "file").write_text("".join(lines))
    started = time.perf_counter()
    state = capture_code(repository)
    assert time.perf_counter() - started < 1.5
    assert state.facts["diff"]["bytes"] > 480_000
    assert state.facts["diff"]["complete"] or state.facts["cut"]


def test_a_change_that_takes_too_long_to_redact_is_cut_and_that_is_said(
    repository: Path, monkeypatch
) -> None:
    from codex_ml.provenance import code, patch

    def slow(text: str) -> str:
        time.sleep(len(text) * 1e-5)  # 5 s for all of it
        return text

    (repository / "file").write_text("a line of text\n" * 30_000)
    monkeypatch.setattr(patch, "redact_text", slow)
    started = time.perf_counter()
    state = code.capture_code(repository)
    assert time.perf_counter() - started < 1.5
    assert state.patch is not None
    assert state.patch.endswith("+a line of text\n")
    assert state.facts["diff"]["complete"] is False
    assert state.facts["cut"] == ["diff: redacted as far as the time sufficed"]


def test_a_git_that_hangs_is_stopped_and_that_is_said(repository: Path, tmp_path: Path, monkeypatch) -> None:
    real = subprocess.run(
        ["sh", "-c", "command -v git"], capture_output=True, text=True, check=True
    ).stdout.strip()
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *"diff HEAD"*|*ls-files*) exec sleep 30;; esac\nexec {real} "$@"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/bin:/usr/bin")
    started = time.perf_counter()
    found = facts(repository, patience=0.5)
    assert time.perf_counter() - started < 1.5
    assert found["commit"]
    assert found["dirty"] is None
    assert found["cut"] == ["diff: git was stopped", "untracked: git was stopped"]


def test_the_index_of_the_repository_is_not_written(repository: Path) -> None:
    index = repository / ".git" / "index"
    os.utime(repository / "file")
    before = index.read_bytes()
    capture_code(repository)
    assert index.read_bytes() == before


def test_a_state_without_changes_has_no_files() -> None:
    assert CodeState({"diff": None}).files() == {}


def test_the_source_digest_changes_with_one_byte_of_code_or_config(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    import shutil
    import sys

    import codex_ml

    copy = tmp_path / "codex_ml"
    shutil.copytree(Path(codex_ml.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from codex_ml.provenance.code import source_digest\n"
        "import codex_ml; assert codex_ml.__file__.startswith(sys.argv[1]); print(source_digest())"
    )

    def digest() -> str:
        done = run(sys.executable, "-c", program, tmp_path)
        assert done.code == 0, done.err
        return done.out.strip()

    seen = [digest(), digest()]
    assert seen[0] == seen[1] == source_digest()
    for file in (copy / "training" / "step.py", copy / "configs" / "model" / "tiny.yaml"):
        file.write_bytes(file.read_bytes() + b"\n")
        seen.append(digest())
    assert len(set(seen)) == 3
