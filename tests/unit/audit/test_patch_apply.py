"""A patch is applied where it was asked for, or it is an error; what is not shown is not made."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audit_repos import commit, write
from codex_ml.audit import diffs
from codex_ml.audit.audit import audit
from codex_ml.audit.containers import image_of
from codex_ml.audit.diffs import refusal, unified
from codex_ml.audit.edits import Code
from codex_ml.audit.patches.weights_only import weights_only
from codex_ml.audit.patching import apply_patch, find_patch, make_patches
from codex_ml.audit.rule import all_rules
from codex_ml.audit.rules import unsafe_load
from codex_ml.audit.walk import parse
from codex_ml.audit.wellformed import parses
from codex_ml.core.git_calls import git
from codex_ml.errors import CodexError

pytestmark = pytest.mark.needs("audit")
LOAD = "import torch\nx = torch.load('x')\n"
SAFE = "import torch\nx = torch.load('x', weights_only=True)\n"


def test_below_the_root_of_a_repository_the_file_below_is_changed(tmp_path: Path) -> None:
    root = commit(write(tmp_path / "m", {"a.py": LOAD, "sub/a.py": LOAD, "sub/sub/a.py": LOAD}))
    for number in ("1", "1"):  # what is done is no patch any more
        apply_patch(audit(root / "sub", workers=1), number)
    assert (root / "a.py").read_text() == LOAD
    assert (root / "sub/a.py").read_text() == (root / "sub/sub/a.py").read_text() == SAFE


def test_no_repository_that_the_environment_names_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = commit(write(tmp_path / "other", {"b.py": LOAD}))
    root = commit(write(tmp_path / "m", {"a.py": LOAD}))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    found = audit(root, workers=1)
    assert [file.path for file in found.tree.files] == ["a.py"]
    apply_patch(found, "1")
    assert (root / "a.py").read_text() == SAFE
    assert (other / "b.py").read_text() == LOAD


def test_settings_of_git_change_no_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[core]\n\tautocrlf = true\n[apply]\n\twhitespace = fix\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    text = LOAD.replace("\n", "  \r\n")
    root = commit(write(tmp_path / "m", {"a.py": text}))
    (root / "a.py").write_bytes(text.encode())
    apply_patch(audit(root, workers=1), "1")
    assert (root / "a.py").read_bytes().decode() == SAFE.replace("\n", "  \r\n")


def test_a_file_that_git_would_make_otherwise_is_no_patch() -> None:
    diff = unified("a.txt", "a\n", "b\n")
    assert refusal(diff, {"a.txt": "a\n"}, {"a.txt": "b\n"}) is None
    assert refusal(diff, {"a.txt": "a\n"}, {"a.txt": "c\n"}) == "git makes something else of a.txt"


def test_the_diff_that_is_shown_does_the_same_by_hand(tmp_path: Path) -> None:
    root = commit(write(tmp_path / "m", {"a b.py": LOAD}))
    (patch,) = make_patches(audit(root, workers=1))
    (tmp_path / "one.patch").write_text(patch.diff)
    answer = git(root, "apply", str(tmp_path / "one.patch"), seconds=20)
    assert answer is not None and answer.good
    assert (root / "a b.py").read_text() == SAFE


def test_the_mode_of_a_file_stays(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": LOAD})
    (tmp_path / "a.py").chmod(0o751)
    apply_patch(audit(tmp_path, workers=1), "1")
    assert (tmp_path / "a.py").stat().st_mode & 0o777 == 0o751


def test_a_file_that_changes_meanwhile_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.py": LOAD})
    found = audit(tmp_path, workers=1)
    real = diffs.git

    def meanwhile(*words: object, **options: object) -> object:
        (tmp_path / "a.py").write_text("x = 1\n")
        return real(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(diffs, "git", meanwhile)
    with pytest.raises(CodexError, match="does not apply"):
        apply_patch(found, "1")
    assert (tmp_path / "a.py").read_text() == "x = 1\n"


def test_numbers_and_ids_name_the_same_patches(tmp_path: Path) -> None:
    write(tmp_path, {f"{n}.py": LOAD for n in range(4)})
    found = audit(tmp_path, workers=1)
    every = list(make_patches(found))
    assert [find_patch(found, str(n)) for n in range(1, 5)] == every
    assert [find_patch(found, one.id) for one in every] == every
    assert find_patch(found, "5") is find_patch(found, "unsafe-load-0") is None


def test_what_is_not_asked_for_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {f"{n:02}.py": LOAD for n in range(30)})
    found = audit(tmp_path, workers=1)
    asked: list[object] = []
    real = diffs.git
    monkeypatch.setattr(
        diffs, "git", lambda *words, **options: asked.append(words) or real(*words, **options)
    )
    made = make_patches(found)
    assert [next(made).paths for _ in range(3)] == [("00.py",), ("01.py",), ("02.py",)]
    assert len(asked) == 3
    last = next(one for one in make_patches(found) if one.paths == ("29.py",))
    asked.clear()
    assert find_patch(found, last.id) == last
    assert len(asked) == 1


# ---- growth -------------------------------------------------------------------------------------


def seconds(work: Callable[[], object]) -> float:
    """The least of three, of this process alone."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def grows_with(size: Callable[[int], Callable[[], object]], small: int, times: int) -> float:
    """How many times longer *times* as much takes, over *times*: 1 is a law of proportion."""
    return seconds(size(small * times)) / max(seconds(size(small)), 1e-3) / times


def patched(text: str) -> object:
    code = Code("a.py", text)
    assert code.source is not None
    found = list(unsafe_load.RULE.source(code.source)) if unsafe_load.RULE.source is not None else []
    assert found
    return weights_only(code, code.source, found)


@pytest.mark.parametrize(
    "text",
    [
        lambda n: "import torch\nx = [" + "1, " * n + "]\ntorch.load(x)\n",
        lambda n: "import torch\n" + "torch.load(x); " * (n // 20) + "\n",
        lambda n: "import torch\né = 'é'; " + "torch.load(x); " * (n // 20) + "\n",
        lambda n: "import torch\n" + "x = 1\n" * n + "torch.load(x)\n",
        lambda n: "import torch\ntorch.load(" + "x, " * (n // 4) + ")\n",
    ],
)
def test_a_patch_of_a_large_file_takes_as_much_longer(text: Callable[[int], str]) -> None:
    assert grows_with(lambda n: lambda: patched(text(n)), 4000, 8) < 4


HOSTILE = [
    lambda n: "FROM a\nCMD " + "[" * n,
    lambda n: "FROM a\nCMD [" + '"a",' * n,
    lambda n: "FROM a\n" + "RUN <<x\n" * (n // 8),
    lambda n: 'FROM a\nRUN <<"' + "a" * n,
    lambda n: "FROM a\nRUN " + '<<"a' * (n // 4),
    lambda n: "FROM a\nRUN x \\\n" + " # c\n" * (n // 5),
    lambda n: "FROM " + "$" * n,
    lambda n: "FROM " + "${a" * (n // 3),
    lambda n: "FROM " + "${a:-" * (n // 5),
    lambda n: "FROM a\nRUN " + "pip " * (n // 4),
    lambda n: "".join(f"FROM a{k} AS a{k + 1}\nUSER x\n" for k in range(n // 40)),
    lambda n: " " * n + "FROM a",
    lambda n: "FROM a\nHEALTHCHECK" + " " * n + "x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_dockerfile_is_read_in_proportion(text: Callable[[int], str]) -> None:
    def read(n: int) -> Callable[[], object]:
        body = text(n)
        return lambda: (image_of(body), parses("Dockerfile", body))

    assert grows_with(read, 8000, 8) < 4


LINES = [
    lambda n: "x = '" + "mlruns/" * (n // 7) + "'\nimport mlflow\nuri = x\n",
    lambda n: "import mlflow\nuri = '" + "a/" * (n // 2) + "'  # mlruns\n",
    lambda n: "import mlflow\ntracking_uri = 'file:" + "./" * (n // 2) + "mlrun'\n",
    lambda n: "import subprocess\nsubprocess.run(['bash', '-" + "a" * n + "'])\n",
    lambda n: "import argparse\np.add_argument('--resume" + "-from" * (n // 5) + "')\n",
    lambda n: "import subprocess\n" + "subprocess.run(['a', " + "'-a', " * (n // 6) + "])\n",
    lambda n: "trust_remote_code" + "\t" * n + "= 1\n",
    lambda n: "import yaml\nyaml.load(" + "a." * (n // 200) + "b)\n",
]


@pytest.mark.parametrize("text", LINES)
def test_the_rules_read_a_hostile_line_in_proportion(text: Callable[[int], str]) -> None:
    rules = [rule for rule in all_rules() if rule.id in RULES and rule.source is not None]
    assert len(rules) == len(RULES)

    def look(n: int) -> Callable[[], object]:
        source = parse("a.py", text(n))
        return lambda: [list(rule.source(source)) for rule in rules if rule.source is not None]

    assert grows_with(look, 8000, 8) < 4


RULES = {
    *("unsafe-load", "unsafe-yaml", "shell-true", "trust-remote-code", "dynamic-code", "resume-not-wired"),
    *("tracker-file-store", "unseeded-loader", "unseeded-entry"),
}


def test_files_that_rules_read_as_lines_are_read_in_proportion(tmp_path: Path) -> None:
    def tree(n: int) -> Callable[[], object]:
        body = (
            " " * n
            + "\n- id: detect-secrets"
            + " " * n
            + "x\ntrust_remote_code"
            + "\t" * n
            + ":\n"
            + "-\t" * n
        )
        root = write(
            tmp_path / str(n), {".pre-commit-config.yaml": body, "c.yaml": body, "compose.yaml": body}
        )
        return lambda: audit(root, workers=1)

    assert grows_with(tree, 8000, 8) < 4


def test_git_is_not_asked_by_the_names_of_files(tmp_path: Path) -> None:
    assert "GIT_DIR" not in os.environ
    write(tmp_path, {"-x.py": LOAD, "é ü.py": LOAD, "a'b.py": LOAD, "$(touch x).py": LOAD})
    found = audit(tmp_path, workers=1)
    for patch in make_patches(found):
        apply_patch(found, patch.id)
    assert {path.read_text() for path in tmp_path.iterdir()} == {SAFE}
    assert subprocess.run(["git", "--version"], capture_output=True, check=True).stdout
