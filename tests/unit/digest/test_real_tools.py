"""The real output of the tools of this environment, made here and now."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codex_ml.digest.analyse import Digest, digest_log

SUITE = """
import logging
import pytest

@pytest.fixture
def broken():
    raise OSError("no device")

def helper(found):
    try:
        return found["k"]
    except KeyError as error:
        raise ValueError("no k\\nsecond line") from error

def test_passes():
    pass

def test_chain():
    logging.error("logged and survived")
    helper({})

def test_setup(broken):
    pass

@pytest.mark.xfail
def test_expected():
    assert 0

@pytest.mark.parametrize("x", ["a b", "c:d"])
def test_many(x):
    assert [1, 2] == [1, 3]

def test_group():
    raise BaseExceptionGroup("many", [ValueError("one"), TypeError("two")])
"""
WANTED = {"test_chain", "test_setup", "test_many[a b]", "test_many[c:d]", "test_group"}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_a.py").write_text(SUITE)
    (folder / "bad.py").write_text("def f(:\n    pass\n")
    (folder / "Makefile").write_text(
        f"py:\n\t{sys.executable} bad.py\nnone:\n\tno-such-program-at-all --x\nmissing: nothere\n"
        "kill:\n\tkill -9 $$$$\n"
    )
    return folder


def ran(folder: Path, *argv: str) -> Digest:
    ours = ("PYTEST", "COVERAGE", "MAKE")  # also under `make test`
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    assert done.returncode != 0, done.stdout
    return digest_log(io.BytesIO(done.stdout))


@pytest.mark.parametrize(
    "options",
    [["--tb=long"], ["--tb=native", "--color=yes"], ["--tb=line"], ["--tb=no", "-q"], ["-n1", "-v"]],
)
def test_pytest_tells_each_failed_test_by_name_in_every_style(options: list[str], suite: Path) -> None:
    found = ran(suite, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "test_a.py")
    assert found.kind == "pytest"
    failures = {str(block.failure.subject).partition("::")[2]: block.failure for block in found.blocks}
    assert set(failures) == WANTED
    assert all(failure.command for failure in failures.values())
    if "--tb=no" not in options and "--tb=line" not in options:
        chain = [cause.text for cause in failures["test_chain"].causes]
        assert chain[0] == "KeyError: 'k'"
        assert chain[1].startswith("ValueError: no k")
        assert str(failures["test_chain"].root.place).endswith("test_a.py:11")
        assert failures["test_setup"].root.text == "OSError: no device"
        assert failures["test_group"].root.text == "ValueError: one"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "kind", "root"),
    [
        ("py", "syntax", "SyntaxError: "),
        ("none", "shell", "make: no-such-program-at-all: "),
        ("missing", "make", "make: *** No rule to make target 'nothere'"),
        ("kill", "memory", "make: *** [Makefile:"),
    ],
)
def test_make_is_looked_behind(target: str, kind: str, root: str, suite: Path) -> None:
    found = ran(suite, "make", target)
    assert found.failure is not None
    assert found.failure.kind == kind
    assert found.failure.root.text.startswith(root)
    if target in ("py", "none"):
        assert found.failure.causes[-1].text.startswith("make: *** [Makefile:")
        assert found.failure.command == f"make {target}"


@pytest.mark.parametrize("options", [["check"], ["check", "--output-format", "concise"]])
def test_ruff_tells_place_and_rule(options: list[str], suite: Path) -> None:
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed beside this interpreter")
    found = ran(suite, str(ruff), *options, "--isolated", "--no-cache", "bad.py")
    assert found.failure is not None
    assert (found.failure.kind, found.failure.subject) == ("ruff", "bad.py")
    assert str(found.failure.root.place).startswith("bad.py:1:")
