"""One name for one failure: equal where only addresses, times, paths, workers or processes differ."""

from __future__ import annotations

import functools
import hashlib
import re

from codex_ml.digest.tokenizer import Kind, tokenize

_MASKS = (
    (re.compile(r"\b0x[0-9a-fA-F]{4,16}\b"), "<address>"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"),
        "<time>",
    ),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\b"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\bgw\d+\b"), "<worker>"),
    (
        re.compile(r"\b(rank|worker|pid|process|thread|port)(s?[ =:#]{0,3}|[ =:#]{0,3}\[?)\d+", re.I),
        r"\1\2<n>",
    ),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:s|ms|secs?|seconds|min|minutes)\b"), "<duration>"),
)
#: What a system makes up for a temporary file or folder.
_TEMPORARY = re.compile(
    r"^(?:[A-Za-z]:)?[\\/](?:(?:private[\\/])?(?:tmp|var[\\/](?:tmp|folders))|dev[\\/]shm)(?:[\\/]|$)"
    r"|[\\/](?:AppData[\\/]Local[\\/]Temp|pytest-of-[^\\/]+)[\\/]"
)


@functools.lru_cache(maxsize=1024)  # steps, and what is repeated, come again and again
def normalise(text: str) -> str:
    """*text* with everything masked that differs between two runs of the same failure.

    Of a path its last name stays, of a temporary one nothing; runs of blanks count as one.
    """
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    pieces = []
    for token in tokenize(text):
        piece = token.of(text)
        if token.kind is Kind.PATH:
            piece = "<tmp>" if _TEMPORARY.search(piece) else re.split(r"[\\/]", piece.rstrip("\\/"))[-1]
        elif token.kind in (Kind.SPACE, Kind.NEWLINE):
            piece = " "
        elif token.kind is Kind.NUMBER and len(piece) >= 6:
            piece = "<n>"
        pieces.append(piece)
    return " ".join("".join(pieces).split())


def fingerprint(error: str, *, step: str = "", folder: str = "") -> str:
    """16 hexadecimal digits for an *error* within a *step*, of what lies in a *folder* of the repository.

    To be given redacted text: a digest of a secret would be a trace of it.
    """
    whole = f"{normalise(step)}\0{normalise(error)}" + (f"\0{folder}" if folder else "")
    return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:16]
