"""The findings that stand above the last line of ruff."""

from __future__ import annotations

import re

from codex_ml.digest.clean import Line
from codex_ml.digest.failures import Cause, Failure, Rank

_CONCISE = re.compile(
    r"(?P<place>[^\s:]{1,400}:\d+:\d+): (?P<what>[A-Z]{1,4}\d{2,4} .*|(?:invalid-syntax|SyntaxError): .*)$"
)
_FULL = re.compile(r"(?P<what>[A-Z]{1,4}\d{2,4} (?:\[\*\] )?\S.*|invalid-syntax: .*|unformatted: .*)$")
_ARROW = re.compile(r"\s*--> (?P<place>\S{1,400}:\d+:\d+)$")
_REFORMAT = re.compile(r"Would reformat: (?P<place>\S.*)$")
_ALL = re.compile(r"Found (\d+) errors?\.|\d+ files? would be reformatted")


def ends_a_lint(text: str) -> bool:
    """Whether *text* is the last line of ruff, which counts what it found."""
    return _ALL.match(text) is not None


def lint_failures(before: list[Line]) -> list[Failure]:
    """What the lines *before* the last one of a linter found."""
    found: list[Failure] = []
    rule: Line | None = None
    for line in before:
        if match := _CONCISE.match(line.text):
            found.append(_failure("ruff", match["what"], match["place"], line))
        elif match := _REFORMAT.match(line.text):
            found.append(_failure("format", f"{match['place']} is not formatted", match["place"], line))
        elif _FULL.match(line.text):
            rule = line
        elif (match := _ARROW.match(line.text)) and rule is not None:
            kind = "format" if rule.text.startswith("unformatted") else "ruff"
            found.append(_failure(kind, rule.text, match["place"], rule))
            rule = None
    return found


def _failure(kind: str, what: str, place: str, line: Line) -> Failure:
    file = place.split(":")[0]
    command = f"ruff format --check {file}" if kind == "format" else f"ruff check {file}"
    cause = Cause(what.replace(" [*]", ""), place)
    return Failure(kind, Rank.REAL, (cause,), line.number, subject=file, command=command, ts=line.ts)
