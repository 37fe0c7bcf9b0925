"""What stands in every line that may matter, as one compiled scan, made of what the readers look for.

The scan tries its alternatives wherever one of their first characters stands. So each hint is cut to begin
with the rarest of its characters, which loses no line: what holds a hint holds every part of it.
"""

from __future__ import annotations

import re
from collections import defaultdict

from codex_ml.digest.rules import RULES

#: What readers other than the table of forms look for.
_READERS = (
    *("Traceback (most", "nox > ", "##[", "::error", "::group", "session starts", "test summary", "FAILURES"),
    *("Found ", "would be ref", "FAIL ", "Root Cause (f", "(ignored)", " passed", " failed", "conftest"),
)
#: At the beginning of a line: commands that a shell echoes, and pytest's account of an error.
_STARTS = ("+", "$", "E  ")
#: The characters of logs, the most frequent first; those that are not named are rarer.
_FREQUENT = " e0ta1iosnr2:lcd-u/m345p_f6gh789.bvwkyT=xq)(]["
_LEAST = 3


def _rarest(hint: str) -> str:
    """The part of *hint* that begins with its rarest character and has at least three."""

    def rarity(at: int) -> int:
        found = _FREQUENT.find(hint[at])
        return found if found >= 0 else len(_FREQUENT)

    starts = range(max(1, len(hint) - _LEAST + 1))
    return hint[max(starts, key=rarity) :]


def _shortest(hints: set[str]) -> list[str]:
    """*hints* without those that hold another one, in a fixed order."""
    return sorted(one for one in hints if not any(other in one for other in hints if other != one))


def _scan() -> re.Pattern[bytes]:
    hints = {*_READERS, *(hint for rule in RULES for hint in rule.hints)}
    by_first: dict[str, list[str]] = defaultdict(list)
    for part in _shortest({_rarest(hint) for hint in _shortest(hints)}):
        by_first[part[0]].append(part[1:])
    branches = [
        re.escape(first) + "(?:" + "|".join(re.escape(rest) for rest in rests) + ")"
        for first, rests in by_first.items()
    ]
    branches.append(r"\n(?:" + "|".join(re.escape(start) for start in _STARTS) + ")")
    return re.compile("|".join(branches).encode())


HINT = _scan()
#: For the first line of a block, before which no line end stands.
FIRST = re.compile(b"|".join(re.escape(start.encode()) for start in _STARTS))
