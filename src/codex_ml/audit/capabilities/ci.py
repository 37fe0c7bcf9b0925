"""Tests and gates: run by one command, with a floor under them."""

from __future__ import annotations

from codex_ml.audit.capability import Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "ci",
    "Internal CI/Test",
    signals=(
        Signal(
            "ci.optional",
            calls=(
                "pytest.importorskip",
                "pytest.mark.skipif",
                "unittest.skipUnless",
                "unittest.skipIf",
                "pytest.skip",
            ),
            names=("skipif", "needs", "requires"),
        ),
    ),
    needs=(
        Need(
            "begun",
            ("ci.tests", "config.gate", "config.lint"),
            "neither tests nor gates",
            "nobody knows whether it works",
            "begin with one test and one command that runs it",
            5,
        ),
        Need(
            "tests",
            ("ci.tests",),
            "no test with an assertion",
            "every change is a guess",
            "write tests for what the project promises",
            5,
        ),
        Need(
            "gate",
            ("config.gate",),
            "no gate runs the tests (CI workflow, nox, tox or make target)",
            "tests are not run",
            "add one command that runs every check",
            4,
        ),
        Need(
            "lint",
            ("config.lint",),
            "neither linter nor type checker is configured",
            "plain mistakes reach users",
            "configure ruff and mypy",
            2,
        ),
        Need(
            "coverage",
            ("config.coverage",),
            "no coverage floor",
            "untested code grows unseen",
            "set fail_under",
            2,
        ),
        Need(
            "assertions",
            (),
            "tests without an assertion",
            "green says nothing",
            "assert what each test claims",
            without=("empty-test",),
            of="tests",
        ),
        Need(
            "optional packages",
            ("ci.optional_marked",),
            "tests need optional packages and do not say so",
            "the gate fails where a package is absent",
            "mark such tests with importorskip or a marker",
            without=("unmarked-optional-test",),
            of="tests",
        ),
    ),
)
