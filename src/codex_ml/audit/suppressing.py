"""Comments by which the audited code sets a finding aside: ``# codex-audit: ignore[RULE] reason``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from codex_ml.audit.model import Evidence
from codex_ml.audit.project import Project
from codex_ml.audit.source import Source

_SIGN = "codex-audit:"
_SUPPRESS = re.compile(r"codex-audit:\s*ignore\[([\w,\s-]+)\]\s*(.*)")
#: Files other than Python in which ``#`` begins a comment.
_SUFFIXES = frozenset({".yaml", ".yml", ".toml", ".ini", ".cfg", ".sh", ".txt", ".in", ".lock", ".env"})
_LARGEST = 1_000_000


@dataclass(frozen=True)
class Comment:
    """*alone*: nothing else stands on its line, so that it speaks of the next one, too."""

    rules: frozenset[str]
    reason: str
    alone: bool


def comments_in(source: Source) -> dict[Evidence, Comment]:
    """The place of each comment of a parsed file; a line of a notebook is named by its cell."""
    if _SIGN not in source.text:
        return {}
    found = {}
    for line, text in source.comments:
        if comment := _comment(text, source.lines[line - 1]):
            found[Evidence(*source.place(line))] = comment
    return found


def written_beside(project: Project) -> dict[Evidence, Comment]:
    """Those of configurations, requirements and images."""
    images = {file.path for file in project.dockerfiles()}
    found: dict[Evidence, Comment] = {}
    for file in project.tree.files:
        if (file.suffix in _SUFFIXES or file.path in images or file.name == ".env") and file.size < _LARGEST:
            text = project.text(file)
            if _SIGN in text:
                found |= dict(_commented(file.path, text.split("\n")))
    return found


def _commented(path: str, lines: Iterable[str]) -> Iterable[tuple[Evidence, Comment]]:
    for number, line in enumerate(lines, start=1):
        at = line.find("#")
        if at >= 0 and (comment := _comment(line[at:], line)):
            yield Evidence(path, number), comment


def _comment(text: str, line: str) -> Comment | None:
    match = _SUPPRESS.search(text)
    if match is None:
        return None
    rules = frozenset(name.strip() for name in match[1].split(","))
    return Comment(rules, match[2].strip(), line.lstrip().startswith("#"))
