"""What a reader of logs finds: failures, each with the chain of its causes, root first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

#: A text of an error is kept up to here; logs can hold a tensor in a message.
MOST_CHARACTERS = 4000
MOST_LINES = 20


class Rank(IntEnum):
    """How much a failure explains: a lower one is only reported where there is no higher one."""

    HANDLED = 0  # a warning, a retry, an expected failure
    SUMMARY = 1  # says that something failed before: `make: *** Error 2`, an exit code
    REPORTED = 2  # a line that calls itself an error
    REAL = 3  # an exception, a failed test, a finding of a compiler


@dataclass(frozen=True, slots=True)
class Cause:
    """One link of a chain. *link* says how the next one came of it: cause, context, member or then."""

    text: str
    place: str | None = None
    link: str = "then"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure as it stands in the input."""

    kind: str  # traceback, pytest, syntax, mypy, memory, make, nox, exit …
    rank: Rank
    causes: tuple[Cause, ...]  # root first, never empty
    line: int  # where it begins, from 1
    step: str = ""
    number: int = 0  # of the step, from 1; 0 where no step was named
    subject: str | None = None  # the test, session, target or file that failed
    command: str | None = None  # runs this again
    ts: str | None = None
    notes: tuple[str, ...] = ()
    stream: str = ""  # the process that wrote it, where several share the log

    @property
    def root(self) -> Cause:
        """The innermost cause."""
        return self.causes[0]

    def demoted(self, note: str) -> Failure:
        """The same, handled: it did not make anything fail."""
        return replace(self, rank=Rank.HANDLED, notes=(*self.notes, note))


@dataclass(frozen=True, slots=True)
class Block:
    """A failure with all its repetitions."""

    failure: Failure
    fingerprint: str
    occurrences: int
    lines: tuple[int, ...] = field(default=())  # where they begin, the first 20


def cut(text: str, most: int) -> str:
    """The first *most* characters of *text*, whole words of them: half a secret would not be known as one."""
    if len(text) <= most:
        return text
    head = text[:most]
    whole = head[: max(head.rfind(" "), head.rfind("\n"), head.rfind("\t")) + 1]
    return whole.rstrip() if len(whole) > most // 2 else head


def clipped(text: str) -> str:
    """*text* within the bounds that a report keeps, with what was left out said."""
    lines = text.rstrip().splitlines()
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… ({len(lines) - MOST_LINES} more lines)"]
    joined = "\n".join(lines)
    if len(joined) > MOST_CHARACTERS:
        head = cut(joined, MOST_CHARACTERS)
        joined = f"{head}… ({len(joined) - len(head)} more characters)"
    return joined
