"""Work that the code itself says is open: TODO, FIXME, XXX, TBD in comments of code, YAML and TOML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.masking import excerpt
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source

_OPEN = re.compile(r"\b(TODO|FIXME|XXX|TBD)\b")
_ACTION = "do it, or write it down as an issue and remove the note"


def _source(source: Source) -> Iterable[Finding]:
    if not _OPEN.search(source.text):
        return
    for line, text in source.comments:
        if match := _OPEN.search(text):
            yield RULE.finding(source.place(line), _said(text[match.start() :]), _ACTION, confidence=5)


def _tree(index: Index, found: Sequence[Finding]) -> Iterable[Finding]:
    yield from found
    for file in index.tree.files:
        if file.suffix in (".yaml", ".yml", ".toml", ".ini", ".cfg", ".sh") and file.size < 1_000_000:
            for number, line in index.project.lines(file, _OPEN.pattern):
                match = _OPEN.search(line)
                if match is None or not _is_note(line, match):
                    continue
                yield RULE.finding((file.path, number), _said(line.strip()), _ACTION, confidence=5)


def _is_note(line: str, match: re.Match[str]) -> bool:
    """A comment, or a value that is nothing yet: ``name: TODO``."""
    before = line[: match.start()]
    return "#" in before or (match[0] != "XXX" and before.rstrip(" \t\"'").endswith(":"))


def _said(text: str) -> str:
    return excerpt(text, 80)


RULE = Rule(
    "todo",
    "low",
    "Open work in a comment",
    "A note that something is to be done is a gap that its writer knew. Strings and fixtures do not count.",
    source=_source,
    tree=_tree,
)
