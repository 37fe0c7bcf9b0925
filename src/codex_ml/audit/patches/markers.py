"""Tests of optional packages that say what they need."""

from __future__ import annotations

from collections.abc import Iterator

from codex_ml.audit.audit import Audit
from codex_ml.audit.patches.tracker import first_import
from codex_ml.audit.patching import Edit, rewritten
from codex_ml.audit.walk import parse


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a test file."""
    return rewritten(
        audit,
        "unmarked-optional-test",
        lambda path, text, found: marked(path, text, sorted({one.evidence.symbol for one in found})),
        title="Mark what {path} needs",
        why="the suite fails where an optional package is absent, instead of saying what was not run",
        risk="a test that is skipped everywhere tests nothing: run it somewhere with the package",
        validation="run pytest without {symbols}: the file is skipped, by name",
    )


def marked(path: str, text: str, modules: list[str]) -> str:
    """The text with ``pytest.importorskip`` for each module before its first import."""
    bare = text.removeprefix("\ufeff")
    source = parse(path, bare)
    rows = bare.split("\n")
    at = first_import(source)
    end = "\r" if rows and at < len(rows) and rows[at].endswith("\r") else ""
    known = any(one.module == "pytest" and not one.name and not one.owner for one in source.imports)
    new = [] if known and _line_of_pytest(source) <= at else ["import pytest", ""]
    new += [f'pytest.importorskip("{module}")' for module in modules]
    rows[at:at] = [f"{line}{end}" for line in new]
    return text[: len(text) - len(bare)] + "\n".join(rows)


def _line_of_pytest(source: object) -> int:
    imports = getattr(source, "imports", [])
    return min((one.line for one in imports if one.module == "pytest"), default=1 << 30) - 1
