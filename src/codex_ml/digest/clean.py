"""Take from a line of a log what its carrier put there: colours, timestamps, prefixes of workers."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
#: One blank belongs to the stamp, what follows is the indentation of the line.
_STAMP = re.compile(
    r"\[?(?P<ts>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)\]?"
    r"(?: \d\d[OE][ +]?)?[ \t|]?"
    r"|\[\d\d:\d\d:\d\d(?:[.,]\d+)?\] ?|\d\d:\d\d:\d\d(?:[.,]\d+)? "
    r"|#\d{1,4} \d{1,6}\.\d{1,4} "
)
#: Several writers share one log, and each names itself on its lines.
_STREAM = re.compile(
    r"\[(?:rank|default)\d+\]:[ ]?|\[\d+,\d+\]<std(?:err|out)>:[ ]?|INTERNALERROR> ?"
    r"|\((?:[\w.]+ )?pid=\d+(?:, ip=[\d.]+)?\) ?|[\w.-]+[-_]\d+ +\| ?"
)
_MARK = re.compile(r"##\[(error|warning|group|endgroup|section|command|debug|notice)\]")
_WORKFLOW = re.compile(r"::(error|warning|notice|debug|group|endgroup)(?: [^:]*(?::(?!:)[^:]*)*)?::")


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its carrier's additions."""

    text: str
    number: int
    stream: str = ""
    mark: str = ""
    ts: str | None = None


def clean(raw: bytes, number: int) -> Line:
    """The line *raw*, number *number* of its input; bytes that are no UTF-8 are shown as U+FFFD."""
    text = raw.decode("utf-8", "replace").rstrip("\r\n")
    if "\r" in text:
        text = text[text.rindex("\r") + 1 :]  # a terminal shows what was written last
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\0" in text:
        text = text.replace("\0", "�")
    text = text.removeprefix("\ufeff")
    ts = stream = mark = ""
    if text[:1].isdigit() or text[:1] in "[#":
        found = _STAMP.match(text)
        if found:
            ts, text = found["ts"] or "", text[found.end() :]
    found = _MARK.match(text) or (_WORKFLOW.match(text) if text.startswith("::") else None)
    if found:
        mark, text = found[1], text[found.end() :]
    found = _STREAM.match(text)
    if found:
        stream, text = found.group().strip(), text[found.end() :]
    return Line(text, number, stream, mark, minute(ts))


def minute(stamp: str) -> str | None:
    """``2025-09-05 10:22:31,7`` -> ``2025-09-05T10:22Z``; of another zone than UTC: None."""
    found = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)\S*?(Z|[+-]\d\d:?\d\d)?$", stamp)
    if found is None or (found[3] or "Z") not in ("Z", "+00:00", "+0000"):
        return None
    return f"{found[1]}T{found[2]}Z"
