"""Cut any text into words, numbers, paths, identifiers, punctuation and space, lossless by offsets.

The spans of the tokens follow each other without a gap, so that their concatenation is the text. Linear in
the length of the text: every repeat is possessive, and what may fail after a repeat is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a token is."""

    NEWLINE = "newline"
    SPACE = "space"
    PATH = "path"
    NUMBER = "number"
    IDENTIFIER = "identifier"
    WORD = "word"
    PUNCTUATION = "punctuation"


class Token(NamedTuple):
    """One span ``text[start:end]``, in characters."""

    kind: Kind
    start: int
    end: int

    def of(self, text: str) -> str:
        """The characters of the token in the *text* it was cut from."""
        return text[self.start : self.end]


#: A component of a path; 255 is the longest name that file systems take.
_NAME = r"[\w.+@%~-]{1,255}+"
_TOKEN = re.compile(
    rf"""
      (?P<newline>\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])
    | (?P<space>[^\S\n\r\v\f\x1c-\x1e\x85\u2028\u2029]++)
    | (?P<path>(?:[A-Za-z]:)?[\\/]{{1,2}}{_NAME}(?:[\\/]{_NAME})*+[\\/]?
        |{_NAME}(?:[\\/]{_NAME})++[\\/]?)
    | (?P<number>0[xX][0-9a-fA-F]++|\d++(?:\.\d++){{0,8}}+(?:[eE][+-]?\d++)?(?![^\W\d_]|_))
    | (?P<identifier>[^\W\d]\w*+(?:\.[^\W\d]\w*+)++|\w*?(?:_|\d)\w*+)
    | (?P<word>[^\W\d_]++)
    | (?P<punctuation>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CAMEL = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]")


def tokenize(text: str) -> Iterator[Token]:
    """The tokens of *text*, in order, from offset 0 to its length."""
    for found in _TOKEN.finditer(text):
        kind = Kind(found.lastgroup or "punctuation")
        if kind is Kind.WORD and _CAMEL.search(found.group()):
            kind = Kind.IDENTIFIER
        yield Token(kind, found.start(), found.end())
