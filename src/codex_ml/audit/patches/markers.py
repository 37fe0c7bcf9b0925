"""Tests of optional packages that say what they need."""

from __future__ import annotations

from collections.abc import Iterator

from codex_ml.audit.edits import Code
from codex_ml.audit.model import Finding
from codex_ml.audit.patch_context import Edit, PatchContext, lines_of, rewritten
from codex_ml.audit.patches.bindings import bound_at_the_top, rebinds
from codex_ml.audit.patches.places import put_behind, put_first
from codex_ml.audit.source import Source


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a test file."""
    return rewritten(
        context,
        "unmarked-optional-test",
        marked,
        title="Mark what {path} needs",
        why="the suite fails where an optional package is absent, instead of saying what was not run",
        risk="a test that is skipped everywhere tests nothing: run it somewhere with the package",
        validation="run pytest without {symbols}: the file is skipped, by name",
    )


def marked(code: Code, source: Source, found: list[Finding]) -> str | None:
    """The text with ``pytest.importorskip`` for each module before its first import."""
    if rebinds(source, "pytest"):
        return None
    rows = [f'pytest.importorskip("{name}")' for name in sorted({one.evidence.symbol for one in found})]
    known = bound_at_the_top(source, "pytest")
    if known is not None and known < min(lines_of(found)):
        put = put_behind(code, source, known, ["", *rows])
    else:
        put = put_first(code, source, ["import pytest", "", *rows])
    return None if put is None else code.changed([put])
