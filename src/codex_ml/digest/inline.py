"""What the text of a list item says: commands, dependencies, a check. And text that says none of it.

`literal` writes any text so that Markdown shows it as it is and `read_inline` finds nothing in it; `plain`
takes it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codex_ml.core.markdown import code_span, escaped, one_line, unescaped
from codex_ml.digest.steps import is_command

CODE = re.compile(r"(?<![`\\])(`{1,3})(?!`)(.+?)(?<!`)\1(?!`)")
_ESCAPE = re.compile(r"\\[^\w\s]")
_AFTER = re.compile(
    r"(?i)\b(?:after:|needs:|requires:|(?:depends[ -]on|blocked by)\b:?)(?P<what>[^()\[\];]+)[)\]]?\.?"
)
_CHECKS = r"check|accept(?:ance)?(?: check)?|verify|done when|expect"
_CHECK = re.compile(rf"(?i)\b(?:{_CHECKS})s?:(?P<what>[^()\[\]]+)[)\]]?")
#: Signs that lead from the words before to such a part, and go with it.
_LEAD = "([;,.—–-"
_WORD_AND_COLON = re.compile(rf"(?i)\b(after|needs|requires|(?:{_CHECKS})s?):")
_TWO_WORDS = re.compile(r"(?i)\b(depends|blocked)([ -])(on|by)\b")


@dataclass(frozen=True, slots=True)
class Said:
    """What was found in a text, and what else stands there."""

    rest: str
    commands: tuple[str, ...]
    after: tuple[str, ...]
    check: str | None = None
    check_command: str | None = None


def read_inline(text: str, *, note: bool = False, more: Sequence[tuple[str, ...]] = ()) -> Said:
    """Take commands, dependencies and the check out of *text*. A *note* that begins with a check is one.

    *more*: first words of commands beside those of known programs.
    """
    check = command = None
    masked = _masked(text)
    if found := _CHECK.search(masked):
        start, end = found.span("what")
        end = len(text) if note and found.start() == 0 else end
        what = text[start:end]
        check, command = _check(what, more)
        text = _without(text, found.start(), max(end, found.end()))
        masked = _masked(text)
    after: tuple[str, ...] = ()
    if found := _AFTER.search(masked):
        names = re.split(r" ?, ?| and ", one_line(text[slice(*found.span("what"))]).strip(" ."))
        after = tuple(name.strip(" `'\"#*").removeprefix("step ") for name in names if name.strip())
        text = _without(text, *found.span())
    every = note and text.startswith("run: ")
    commands = tuple(code for code in codes(text) if every or is_command(code, more))
    return Said(text, commands, after, check, command)


def codes(text: str) -> Iterator[str]:
    """What stands between back-ticks."""
    for _, code in CODE.findall(text):
        # Blanks beside back-ticks keep these apart from the fence.
        yield code[1:-1] if code[:1] == code[-1:] == " " and code.strip() else code


def _check(what: str, more: Sequence[tuple[str, ...]]) -> tuple[str, str | None]:
    found = list(codes(what))
    text = what.strip(" .")
    if len(found) == 1 and CODE.fullmatch(text):
        text = found[0]
    text = plain(text).strip()
    command = next((code for code in found if is_command(code, more)), None)
    return text, command or (text if is_command(text, more) else None)


def _masked(text: str) -> str:
    """*text* of the same length, without what stands in code or behind a backslash."""
    for pattern in (CODE, _ESCAPE):
        text = pattern.sub(lambda found: "\0" * len(found[0]), text)
    return text


def _without(text: str, start: int, end: int) -> str:
    before = text[:start].rstrip()
    return (before[:-1] if before.endswith(tuple(_LEAD)) else before) + text[end:]


def literal(text: str) -> str:
    """*text* as one line of Markdown that shows it and says nothing to `read_inline`."""
    return _literal(one_line(text))


def _literal(line: str) -> str:
    apart = _TWO_WORDS.sub(lambda found: f"{found[1]}&#{ord(found[2])};{found[3]}", escaped(line))
    return _WORD_AND_COLON.sub(r"\1\\:", apart)


def literal_but_code(text: str) -> str:
    """The same, but its code stays code."""
    parts, at = [], 0
    line = one_line(text)
    for found in CODE.finditer(line):
        parts += [_literal(line[at : found.start()]), code_span(found[2])]
        at = found.end()
    return "".join([*parts, _literal(line[at:])])


def plain(text: str) -> str:
    """*text* without bold and the marks of code, and what `literal` was given."""
    return unescaped(re.sub(r"(?<!\\)(?:\*\*|`)", "", text))
