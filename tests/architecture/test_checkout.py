"""The repository itself: it says when it is not installed, holds no secret and no trace of one machine."""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sources import ROOT

LINE = "codex-ml is not installed in this environment; run: make setup"
Run = Callable[..., Any]


def bare(module: str, *, packages: bool = False) -> tuple[list[str], dict[str, str | None]]:
    """An interpreter in which codex-ml is not installed.

    ``-S`` leaves out site-packages, and with it editable installs. With *packages* the folder comes
    back by PYTHONPATH, where path files are not read: pytest and nox are there, codex-ml is not.
    """
    path = next(one for one in site.getsitepackages() if (Path(one) / "pytest").is_dir())
    env = {"PYTHONPATH": path if packages else str(ROOT / "src"), "COVERAGE_PROCESS_CONFIG": None}
    return [sys.executable, "-S", "-m", module], env


def test_the_program_says_in_one_line_that_it_is_not_installed(run: Run) -> None:
    argv, env = bare("codex_ml")
    result = run(*argv, "--help", env=env, cwd=ROOT)
    assert (result.code, result.out, result.err) == (2, "", LINE + "\n")


@pytest.mark.parametrize(("module", "args"), [("pytest", ["tests"]), ("nox", ["-s", "lint"])])
def test_pytest_and_nox_say_in_one_line_that_it_is_not_installed(
    run: Run, module: str, args: list[str]
) -> None:
    argv, env = bare(module, packages=True)
    result = run(*argv, *args, env=env, cwd=ROOT)
    assert result.code == 2
    assert (result.out + result.err).strip().removeprefix("Exit: ") == LINE


@pytest.mark.parametrize("target", ["setup", "setup-demo"])
def test_make_says_in_one_line_what_python_it_needs(run: Run, tmp_path: Path, target: str) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name in ("requirements.lock", "requirements-demo.lock", "requirements-build.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\ncase "$1" in -V) echo Python 3.9.1;; *) exit 1;; esac\n')
    old.chmod(0o755)
    bare = tmp_path / "bare-python"
    bare.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n')
    bare.chmod(0o755)
    absent = run("make", target, "PYTHON=no-such-python", cwd=tmp_path)
    wrong = run("make", target, f"PYTHON={old}", cwd=tmp_path)
    no_venv = run("make", target, f"PYTHON={bare}", cwd=tmp_path)
    assert absent.code != 0
    assert absent.err.splitlines()[0].startswith("make: no-such-python not found; install python3")
    assert wrong.code != 0
    assert wrong.err.splitlines()[0].startswith("make: Python 3.9.1 will not do; name a Python 3.11 to 3.13")
    assert (
        no_venv.err.splitlines()[0]
        == "make: python3-venv is missing; install it: apt-get install python3-venv"
    )
    assert not (tmp_path / ".venv").exists()


def test_the_secret_hook_fails_on_a_planted_secret_and_passes_without(run: Run, tmp_path: Path) -> None:
    hook = Path(sys.executable).with_name("detect-secrets-hook")
    baseline = tmp_path / ".secrets.baseline"
    baseline.write_bytes((ROOT / ".secrets.baseline").read_bytes())
    planted, clean = tmp_path / "planted.py", tmp_path / "clean.py"
    # Put together here, so that this file is itself no finding.
    planted.write_text(f'aws_key = "{"AKIA" + "Q3EGZ7HVLNWT5R2B"}"\n')
    clean.write_text("answer = 42\n")
    options = ("--no-verify", "--baseline", baseline)
    assert run(hook, *options, clean, cwd=tmp_path).code == 0
    found = run(hook, *options, planted, cwd=tmp_path)
    assert found.code == 1
    assert "planted.py:1" in found.out


def tracked() -> list[Path]:
    """Files that git tracks or would track; all files where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode == 0:
        return [path for name in listing.stdout.splitlines() if (path := ROOT / name).is_file()]
    folders = ("src", "tests", "docs", "tools", "benchmarks", ".ci")
    return [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]


def test_no_tracked_file_holds_a_secret_that_nobody_marked(run: Run, tmp_path: Path) -> None:
    hook = Path(sys.executable).with_name("detect-secrets-hook")
    baseline = tmp_path / ".secrets.baseline"  # a copy: the hook rewrites line numbers
    baseline.write_bytes((ROOT / ".secrets.baseline").read_bytes())
    listed = [
        path.relative_to(ROOT)
        for path in tracked()
        if path.suffix != ".lock" and path.stat().st_size < 500_000
    ]
    found = run(hook, "--no-verify", "--baseline", baseline, *listed, cwd=ROOT)
    assert found.code in (0, 3), found.out


def test_no_tracked_file_names_where_this_machine_takes_packages_from() -> None:
    places = set(_package_places())
    # Written in pieces, so that this file does not find itself.
    machine = re.compile("|".join(map(re.escape, [*places, "/op" + "t/wheels", "/op" + "t/pypi"])))
    wrong = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{path}:{n}" for n, line in enumerate(text.splitlines(), 1) if machine.search(line)]
    assert wrong == []


def _package_places() -> Iterator[str]:
    """Indexes and wheel folders in this machine's settings, the public ones left out."""
    public = ("pypi.org", "download.pytorch.org")
    configs = [Path("/etc/pip.conf"), Path.home() / ".pip/pip.conf", Path.home() / ".config/pip/pip.conf"]
    texts = [path.read_text(encoding="utf-8") for path in configs if path.is_file()]
    texts += [value for name, value in os.environ.items() if re.match(r"(PIP|UV)_.*(INDEX|FIND_LINKS)", name)]
    for text in texts:
        for place in re.findall(r"(?:https?://(?:[^/@\s]*@)?([\w.:-]+))|((?:file://)?/[\w./-]{6,})", text):
            name = place[0] or place[1].removeprefix("file://")
            if name not in public and "cert" not in name:
                yield name
