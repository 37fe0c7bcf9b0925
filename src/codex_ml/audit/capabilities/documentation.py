"""Documentation: a stranger gets from the README to a result, and what is written is kept true."""

from __future__ import annotations

from codex_ml.audit.capability import Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "documentation",
    "Documentation & Examples",
    signals=(
        Signal(
            "docs.tested",
            calls=("doctest.testmod", "doctest.testfile", "nbclient.NotebookClient", "*.execute_notebook"),
            imports=("sybil", "pytest_examples", "nbval"),
        ),
    ),
    needs=(
        Need(
            "readme", ("docs.readme",), "no README that says something", "nobody starts", "write a README", 4
        ),
        Need(
            "quickstart",
            ("docs.commands",),
            "the README has no command to run",
            "onboarding by guessing",
            "add a quickstart whose commands can be pasted",
        ),
        Need(
            "pages",
            ("docs.pages", "docs.examples"),
            "neither pages of documentation nor examples",
            "features are found by reading code",
            "add docs/ or examples",
            2,
        ),
        Need(
            "notebooks",
            (),
            "a notebook holds nothing but notes to be done",
            "examples that are none",
            "fill it or remove it",
            2,
            without=("notebook-stub",),
        ),
        Need(
            "checked",
            ("docs.tested", "docs.read_by_tests"),
            "no test runs what the documentation shows",
            "commands in the documentation stop working unseen",
            "run the documented commands in a test",
        ),
    ),
)
