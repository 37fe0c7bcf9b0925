"""Cut source text into pieces with a class each, by Pygments; positions are kept exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codex_ml.core.optional import require


@dataclass(frozen=True)
class Piece:
    """A stretch of text and the class of its kind in the style sheet; empty for plain text."""

    kind: str
    text: str


#: Pygments' short names, by their first letters -> our classes.
_KINDS = (
    ("c", "comment"), ("sd", "comment"), ("s", "string"), ("m", "number"), ("ow", "keyword"),
    ("k", "keyword"), ("nf", "name"), ("nc", "name"), ("fm", "name"), ("nd", "name"), ("nb", "builtin"),
    ("bp", "builtin"), ("err", "error"),
)  # fmt: skip


def highlight(text: str, *, language: str, boundary: int = 0) -> tuple[list[Piece], list[Piece]]:
    """*text* before and after the position *boundary*, coloured as one text.

    An unknown *language* gives plain pieces. Joined, the pieces are *text*.
    """
    before: list[Piece] = []
    after: list[Piece] = []
    for start, piece in _pieces(text, language):
        cut = min(max(boundary - start, 0), len(piece.text))
        if piece.text[:cut]:
            before.append(Piece(piece.kind, piece.text[:cut]))
        if piece.text[cut:]:
            after.append(Piece(piece.kind, piece.text[cut:]))
    return _merged(before), _merged(after)


def _pieces(text: str, language: str) -> Iterator[tuple[int, Piece]]:
    for start, kind, value in _lexer(language).get_tokens_unprocessed(text):
        yield start, Piece(_kind(kind), value)


def _lexer(language: str) -> Any:
    lexers = require("pygments.lexers", extra="report")
    missing = require("pygments.util", extra="report").ClassNotFound
    try:
        return lexers.get_lexer_by_name(language)
    except missing:
        return lexers.get_lexer_by_name("text")


def _kind(token: Any) -> str:
    """The class of a token type; of its nearest parent that has a short name."""
    names = require("pygments.token", extra="report").STANDARD_TYPES
    while token not in names:
        token = token.parent
    short = names[token]
    return next((ours for prefix, ours in _KINDS if short.startswith(prefix)), "")


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one kind as one."""
    merged: list[Piece] = []
    for piece in pieces:
        if merged and merged[-1].kind == piece.kind:
            merged[-1] = Piece(piece.kind, merged[-1].text + piece.text)
        else:
            merged.append(piece)
    return merged
