"""What a compiler said in the lines before make, ninja or a shell gave up: ``path:line:column: message``."""

from __future__ import annotations

import re

from codex_ml.digest.clean import Line
from codex_ml.digest.failures import Cause, Failure, Rank, clipped, cut
from codex_ml.digest.harmless import harmless

#: Kinds of summaries that end such a list.
ENDS = ("make", "ninja", "build", "exit")
#: So many lines before a summary are looked at.
MOST_LINES = 60
_MOST_CHARACTERS = 1000
_LOCATED = re.compile(
    r"(?:\w{1,20}: )?(?P<place>(?:[A-Za-z]:)?[^\s:()\"'=]{1,300}\.\w{1,8}:\d{1,7}):\d{1,7}: "
    r"(?!(?:warning|note|remark|info|hint|help)\b)(?P<what>\S.*)",
    re.IGNORECASE,
)


def located_failures(before: list[Line]) -> list[Failure]:
    """The findings in the lines *before* a summary which nothing else explains."""
    found = []
    for line in before:
        text = cut(line.text, _MOST_CHARACTERS).strip()
        if (said := _LOCATED.match(text)) and not harmless(text):
            cause = Cause(clipped(said["what"]), said["place"])
            found.append(Failure("compiler", Rank.REAL, (cause,), line.number, ts=line.ts))
    return found
