"""What an audit meets in the wild: a report that lists what could not be read, or one clear error."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from audit_repos import commit, notebook, write
from codex_ml.audit import tree
from codex_ml.audit.audit import audit
from codex_ml.audit.delta import delta, load_report
from codex_ml.audit.errors_recorded import recorded_errors
from codex_ml.audit.markdown import code, render_markdown, text
from codex_ml.audit.patching import make_patches
from codex_ml.audit.report import report_of
from codex_ml.errors import DataError, UsageError

pytestmark = pytest.mark.needs("audit")


def unread(root: Path) -> dict[str, str]:
    return {one.path: one.reason for one in audit(root, workers=1).index.unread}


@pytest.mark.parametrize("what", ["nothing", "file"])
def test_what_is_no_directory_is_an_error(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="no directory") as caught:
        audit(tmp_path / what)
    assert caught.value.code == "audit.root"


def test_a_directory_without_permission_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)  # root may open anything
    with pytest.raises(DataError, match="cannot be opened"):
        audit(tmp_path)


def test_links_are_listed_and_never_followed(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"a/b.py": "x = 1\n"})
    (root / "a" / "loop").symlink_to(root)
    (root / "outside.py").symlink_to("/etc/passwd")
    (root / "gone").symlink_to("nowhere")
    found = unread(root)
    assert sorted(found) == ["a/loop", "gone", "outside.py"]
    assert all("not followed" in reason for reason in found.values())
    commit(root)
    assert sorted(unread(root)) == ["a/loop", "gone", "outside.py"]


def test_a_file_of_200_megabytes_is_listed_and_not_read(tmp_path: Path) -> None:
    with (tmp_path / "data.py").open("wb") as stream:
        stream.truncate(200_000_000)
    assert unread(tmp_path) == {"data.py": f"200,000,000 bytes, more than the {tree.LARGEST:,} that are read"}


def test_what_does_not_parse_is_listed_with_its_reason(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "two.py": "def f(x):\n    print 'x', x\n",
            "except.py": "try:\n    f()\nexcept ValueError, error:\n    pass\n",
            "half.py": "def f(:\n",
            "deep.py": "x = " + "-" * 100_000 + "1\n",
            "binary.py": bytes(range(256)) * 20,
            "nul.py": b"x = 1\n" * 2000 + b"\0",
            "bad.ipynb": "[]",
            "pyproject.toml": "[a",
            "fine.py": "x = 1\n",
        },
    )
    found = unread(tmp_path)
    assert sorted(found) == sorted(
        ["bad.ipynb", "binary.py", "deep.py", "except.py", "half.py", "nul.py", "pyproject.toml", "two.py"]
    )
    assert "Python 2" in found["two.py"]
    assert "Python 2" in found["except.py"]
    assert "line 1" in found["half.py"]


def test_a_repository_without_commits_and_one_without_files(tmp_path: Path) -> None:
    root = commit(write(tmp_path / "git", {"a.py": "x = 1\n"}))
    for path in (root / ".git" / "refs" / "heads" / "main", root / ".git" / "packed-refs"):
        path.unlink(missing_ok=True)
    found = audit(root, workers=1)
    assert found.tree.git is None
    assert [file.path for file in found.tree.files] == ["a.py"]
    (tmp_path / "empty").mkdir()
    assert audit(tmp_path / "empty", workers=1).tree.files == ()


def test_names_of_any_bytes_stay_on_their_line(tmp_path: Path) -> None:
    names = [
        b"new\nline.py",
        b"tab\t.py",
        b"\xff\xfe.py",
        b"a|b`c.py",
        b"<script>.py",
        b"-rf.py",
        b"x\x1b[31m.py",
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(
            b"def f():\n    raise NotImplementedError\n"
        )
    for root in (tmp_path, commit(tmp_path)):
        found = audit(root, workers=1)
        assert len(found.findings) == len(names)
        report = report_of(found, date="2026-01-01")
        page = render_markdown(report)
        assert "\x1b" not in page
        assert "new\\nline.py" in page
        page.encode("utf-8")
        for row in page.split("## 2. ")[1].split("## 3. ")[0].splitlines():
            assert not row.startswith("|") or row.replace("\\|", "").count("|") == 8


def test_texts_of_the_repository_cannot_leave_their_place() -> None:
    assert text("a\nb | c `d` <e> *f*") == "a b \\| c \\`d\\` \\<e\\> \\*f\\*"
    assert code("a`b``c") == "```a`b``c```"
    assert code("`") == "`` ` ``"


def test_a_hostile_config_of_git_is_not_run(tmp_path: Path) -> None:
    root = commit(write(tmp_path / "root", {"a.py": "x = 1\n"}))
    mark = tmp_path / "ran"
    (root / "evil").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (root / "evil").chmod(0o755)
    config = (root / ".git" / "config").read_text()
    (root / ".git" / "config").write_text(
        f"{config}\tfsmonitor = {root}/evil\n\tpager = {root}/evil\n\thooksPath = {root}\n"
        f"[gpg]\n\tprogram = {root}/evil\n[log]\n\tshowSignature = true\n[diff]\n\texternal = {root}/evil\n"
    )
    found = audit(root, workers=1)
    report_of(found)
    assert found.tree.git is not None
    assert not mark.exists()


def test_audited_code_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    line = f"open({str(mark)!r}, 'w')\n"
    root = write(
        tmp_path / "root",
        {
            **dict.fromkeys(("a.py", "setup.py", "conftest.py", "__init__.py", "test_a.py"), line),
            **dict.fromkeys(("sitecustomize.py", "noxfile.py"), line),
            "n.ipynb": notebook(("code", line)),
        },
    )
    audit(root, workers=2)
    assert not mark.exists()


def test_what_is_no_report_cannot_be_compared_with(tmp_path: Path) -> None:
    for name, body in (
        ("a.json", "{}"),
        ("b.json", "# Report"),
        ("c.json", '{"snapshot": {"capabilities": 1}}'),
    ):
        (tmp_path / name).write_text(body)
        with pytest.raises(DataError, match="no report") as caught:
            load_report(tmp_path / name)
        assert caught.value.code == "audit.report"
    with pytest.raises(DataError, match="no report"):
        load_report(tmp_path / "absent.json")


def test_a_path_that_leads_through_a_link_is_not_followed(tmp_path: Path) -> None:
    root = commit(write(tmp_path / "r", {"d/a.py": "# TODO: inside\n"}))
    outside = write(tmp_path / "outside", {"a.py": "# TODO: outside\nimport torch\ntorch.load('x')\n"})
    shutil.rmtree(root / "d")
    (root / "d").symlink_to(outside)
    found = audit(root, workers=1)
    assert found.findings == ()
    assert any(one.path == "d/a.py" and "link" in one.reason for one in found.index.unread)


def test_recorded_errors_are_read_from_the_tree_alone_newest_first_and_cut_with_a_word(
    tmp_path: Path,
) -> None:
    outside = write(tmp_path / "outside", {"errors.ndjson": '{"error": "of somebody else"}\n'})
    root = write(tmp_path / "r", {"a.py": ""})
    (root / ".codex").symlink_to(outside)
    assert "somebody" not in json.dumps(recorded_errors(audit(root, workers=1)))
    (root / ".codex").unlink()
    rows = [json.dumps({"ts": str(number), "error": f"e{number} " + "x" * 1000}) for number in range(7_000)]
    write(root, {".codex/errors.ndjson": "\n".join([*rows, "{broken"]) + "\n"})
    found = recorded_errors(audit(root, workers=1))
    assert found[-2]["error"].startswith("e6999 ")
    assert "older errors are not shown" in found[-1]["error"] and "1 lines are damaged" in found[-1]["error"]


def test_a_recorded_error_is_said_once_with_how_it_was_resolved(tmp_path: Path) -> None:
    row = {"ts": "1", "step": "s", "error": "e", "context": "c", "fingerprint": "f" * 8}
    lines = [{**row, "status": "Open"}, {**row, "status": "Resolved", "resolution": "installed it"}]
    root = write(tmp_path, {".codex/errors.ndjson": "".join(json.dumps(line) + "\n" for line in lines)})
    assert [one["status"] for one in recorded_errors(audit(root, workers=1))] == ["Resolved: installed it"]


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": b"# coding: undefined\nx = 1\n"},
        {"a.py": b"# -*- coding: rot13 -*-\nx = 1\n"},
        {"a.py": b"import yaml\nyaml.load()\n"},
        {"a.ipynb": b"[]"},
        {".codex/errors.ndjson": b'{"ts": 1}\n[1]\n"x"\n{"error": {"a": 1}}\n'},
        {".secrets.baseline": b'{"results": []}'},
        {"pyproject.toml": b"project = 3\n"},
        {"pyproject.toml": b'[project]\nname = 3\ndependencies = "x"\nscripts = []\n[tool]\nruff = 1\n'},
    ],
)
def test_no_file_ends_the_audit(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    found = audit(write(tmp_path, files), workers=1)
    report = report_of(found, date="2026-01-01", patches=[one.as_dict() for one in make_patches(found)])
    assert len(report["snapshot"]["capabilities"]) == 15


@pytest.mark.parametrize("epoch", ["\N{SUPERSCRIPT TWO}", "abc", "9" * 30, "-1"])
def test_a_wrong_epoch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        report_of(audit(write(tmp_path, {"a.py": ""}), workers=1), date="2026-01-01")


def test_a_commit_of_a_year_that_no_calendar_has_leaves_the_date_to_others(tmp_path: Path) -> None:
    root = commit(write(tmp_path, {"a.py": ""}))
    body = subprocess.run(
        ["git", "cat-file", "commit", "HEAD"], cwd=root, capture_output=True, check=True
    ).stdout
    words = ["git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    later = body.replace(b"1700000000", b"99999999999999")
    made = (
        subprocess.run(words, cwd=root, input=later, capture_output=True, check=True).stdout.decode().strip()
    )
    subprocess.run(["git", "update-ref", "refs/heads/main", made], cwd=root, check=True)
    found = audit(root, workers=1)
    assert report_of(found, date="2026-01-01")["metadata"]["date"] == "2026-01-01"


@pytest.mark.parametrize(
    "report",
    [
        "{}",
        "[]",
        '{"metadata": [], "snapshot": 3}',
        '{"snapshot": {"capabilities": [], "findings": []}}',
        '{"metadata": {"report_version": 9}}',
    ],
)
def test_a_report_that_is_none_is_refused_in_words(tmp_path: Path, report: str) -> None:
    place = write(tmp_path, {"r.json": report}) / "r.json"
    with pytest.raises(DataError, match="report") as caught:
        load_report(place)
    assert caught.value.next_step


def test_a_report_of_another_repository_is_refused(tmp_path: Path) -> None:
    one, two = (
        report_of(audit(write(tmp_path / name, {"a.py": ""}), workers=1), date="2026-01-01")
        for name in ("one", "two")
    )
    with pytest.raises(DataError, match="another repository"):
        delta(one, two)


def test_folders_that_are_left_out_without_git_are_listed(tmp_path: Path) -> None:
    found = audit(write(tmp_path, {"a.py": "", "build/b.py": "", "wandb/c.py": ""}), workers=1)
    assert [one.path for one in found.index.unread] == ["build", "wandb"]


LINES = ["#" * 60_000, "\n" * 30_000, "x: " * 20_000, "key=aa1" * 8_000, "print " * 10_000, "a" * 60_000]


@pytest.mark.parametrize(
    "name", ["a.yaml", "README.md", "a.py", ".env", "Makefile", "requirements.txt", "Dockerfile"]
)
def test_a_long_line_costs_no_more_than_its_length(tmp_path: Path, name: str) -> None:
    def seconds(share: int) -> float:
        body = "\n".join(f"```sh\n{line[: len(line) // share]}\n```" for line in LINES)
        root = write(tmp_path / f"{share}", {name: body})
        began = time.process_time()
        report_of(audit(root, workers=1), date="2026-01-01")
        return time.process_time() - began

    assert seconds(1) < 24 * seconds(8) + 0.5  # a quadratic way takes 64 times as long
