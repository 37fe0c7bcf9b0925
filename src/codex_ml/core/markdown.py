"""Text of others in a page of Markdown: shown as it is, whatever it holds."""

from __future__ import annotations

import re

#: What opens emphasis (`_` within a word does not), code, links, images, HTML, tables and entities.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~!]|(?<![^\W_])_|_(?![^\W_])|&(?=[#\w])")
_ESCAPED = re.compile(r"\\([\\`*\[\]<>|~!_&:])|&#(\d{1,6});")


def one_line(text: str) -> str:
    """*text* with every run of blanks and line ends as one blank."""
    return " ".join(text.split())


def escaped(text: str) -> str:
    """*text*, one line, as Markdown that holds no markup."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def unescaped(text: str) -> str:
    """What `escaped` was given; signs written by their number are read, too."""
    return _ESCAPED.sub(lambda found: found[1] or chr(int(found[2])), text)


def code_span(text: str) -> str:
    """*text* as one line of inline code; back-ticks within get a longer fence."""
    line = one_line(text)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    pad = " " if not line or "`" in (line[0], line[-1]) else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def fenced(text: str, language: str = "") -> str:
    """*text* as a fenced block, whatever back-ticks it holds."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
