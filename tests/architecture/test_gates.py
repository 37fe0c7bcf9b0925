"""The gates themselves: what they record, and that the documentation check finds a dead link."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sources import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import check_docs
import gates

JUNIT = """<testsuites><testsuite>
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="no"/></testcase>
<testcase classname="a" name="left"><skipped message="no CUDA device"/></testcase>
<testcase classname="" name="b"><skipped message="collection skipped">
('n.py', 7, "Skipped: needs the extra 'train'")</skipped></testcase>
</testsuite></testsuites>"""


def test_a_gate_records_seconds_counts_and_the_reason_of_each_skip(tmp_path: Path) -> None:
    with gates.recorded("lint", tmp_path):
        pass
    with pytest.raises(RuntimeError), gates.recorded("tests", tmp_path):
        (tmp_path / "tests.xml").write_text(JUNIT)
        raise RuntimeError
    summary = json.loads((tmp_path / "gates.json").read_text())
    assert summary["lint"]["ok"] is True
    assert summary["tests"]["ok"] is False
    assert summary["tests"]["seconds"] >= 0
    assert (summary["tests"]["passed"], summary["tests"]["failed"]) == (1, 1)
    assert summary["tests"]["skipped"] == [
        {"test": "a::left", "reason": "no CUDA device"},
        {"test": "::b", "reason": "needs the extra 'train'"},
    ]


def test_a_gate_that_fails_without_a_failed_test_counts_as_one_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), gates.recorded("tests", tmp_path):
        (tmp_path / "tests.xml").write_text('<testsuites><testcase classname="a" name="good"/></testsuites>')
        raise RuntimeError
    entry = json.loads((tmp_path / "gates.json").read_text())["tests"]
    assert (entry["passed"], entry["failed"]) == (1, 1)
    assert entry["failures"][0].startswith("the gate itself")


def test_a_dead_link_a_dead_anchor_and_a_dead_path_are_found(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "# Top\n[a](gone.md) [b](#nowhere) [c](#top) [d](https://x.org) `src/gone.py` `src/<name>.py`\n"
    )
    found = list(check_docs.problems(page, tmp_path))
    assert [line.split(": ")[1] for line in found] == [
        "the link gone.md leads nowhere",
        "#nowhere names a heading that is not there",
        "`src/gone.py` is not in the repository",
    ]


APP = """
import click
@click.group()
def app(): ...
@app.group()
def runs(): ...
@runs.command()
def ls(): ...
@runs.command()
@click.argument("name")
def show(name): ...
"""
CRASH = """
@runs.command()
def crash(): raise RuntimeError("planted")
@app.command()
def quiet(): raise SystemExit(2)
"""


def test_the_walk_finds_a_command_that_crashes_or_refuses_without_a_word(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    package = tmp_path / "codex_ml"
    (package / "cli").mkdir(parents=True)
    for name in ("__init__.py", "cli/__init__.py"):
        (package / name).touch()
    (package / "__main__.py").write_text("from codex_ml.cli.app import app\napp()\n")

    def walk(app: str) -> Any:
        (package / "cli" / "app.py").write_text(app)
        env = {"PYTHONPATH": str(tmp_path), "COVERAGE_PROCESS_CONFIG": None}
        return run(sys.executable, ROOT / "tools" / "check_core.py", env=env)

    sound, broken = walk(APP), walk(APP + CRASH)
    assert sound.code == 0, sound.out
    assert sound.out.splitlines()[-1] == "2 commands, 4 calls, 0 complaints"
    assert broken.code == 1
    assert "codex-ml runs crash: exit 1, a traceback" in broken.out
    assert "codex-ml quiet: exit 2, without a word on stderr" in broken.out
