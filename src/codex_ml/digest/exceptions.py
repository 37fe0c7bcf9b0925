"""Python's own output, read line by line: tracebacks, chained, grouped, of other processes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from codex_ml.digest.clean import Line
from codex_ml.digest.failures import Cause, Failure, Rank, clipped
from codex_ml.digest.harmless import gave_up
from codex_ml.digest.rules import match
from codex_ml.digest.steps import is_command

HEAD = "Traceback (most recent call last):"
GROUP_HEAD = "+ Exception Group Traceback (most recent call last):"
_FRAME = re.compile(r'\s*File "(?P<file>[^"]{1,1000})", line (?P<line>\d+)(?:, in (?P<name>.+))?$')
#: The last line of a traceback: a dotted name, with or without a message.
EXCEPTION = re.compile(r"(?P<type>[A-Za-z_][\w.<>]*)(?:: (?P<message>.*)|:?)$")
_LINKS = {
    "The above exception was the direct cause of the following exception:": "cause",
    "During handling of the above exception, another exception occurred:": "context",
}
_GROUP = re.compile(r"(?:\s*(?:\| ?|\+ (?=Exception Group)|\+-[+-]*))+")
_SUB = re.compile(r"\s*\+[+-]*- (?:\d+|\.\.\.) -+$")
_GROUP_ITSELF = re.compile(r"\(\d+ sub-exceptions?\)$")
#: Modules of the machinery that runs the program, which no cause lies in.
_MACHINERY = re.compile(
    r"[\\/](?:runpy|importlib[\\/]|concurrent[\\/]futures|multiprocessing[\\/]|threading\.py|asyncio[\\/]|"
    r"_pytest[\\/]|pluggy[\\/])|<frozen "
)
_HANDLED = re.compile(
    r"(?i)\b(retry(?:ing)?|will retry|attempt \d+ (?:of|/) ?\d+ failed|ignor(?:ed|ing)|falling back|recovered"
    r"|skipping)\b"
)
#: How torchrun ends when a process that it started has failed: an account of that one.
_OF_A_CHILD = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError"
_MOST_FRAMES = 500
_MOST_LINES = 8  # of a message that are not indented: what follows may be no part of it
#: How a line begins that somebody else wrote: logs, tools, a shell, progress.
_OTHERS = re.compile(
    r"(?:\S+ ){0,3}\[?(?:DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL)\]?[ :|\]]|nox > |"
    r"g?make(?:\[\d+\])?: |[=_-]{3,}|\[?\d|[+$>#] |\w+(?:\[\w+\])?> |.{0,200}\d%|\S{1,80}::\S"
)


@dataclass
class _Exception:
    text: list[str] = field(default_factory=list)
    frames: list[tuple[str, str]] = field(default_factory=list)
    link: str = "then"

    def add(self, frame: re.Match[str]) -> None:
        self.frames.append((f"{frame['file']}:{frame['line']}", frame["file"]))
        if len(self.frames) > 2 * _MOST_FRAMES:
            del self.frames[:_MOST_FRAMES]  # a recursion without end; the place is near its end

    def cause(self) -> Cause:
        own = [place for place, file in self.frames if not is_library(file)] or [p for p, _ in self.frames]
        return Cause(clipped("\n".join(self.text)), own[-1] if own else None, self.link)


def is_library(file: str) -> bool:
    """Whether *file* is of an installed package, or of the machinery that runs a program."""
    return "site-packages" in file or "dist-packages" in file or bool(_MACHINERY.search(file))


def _speaks_for_itself(text: str) -> bool:
    """Whether the line *text* is known as something else than a further line of a message."""
    known = HEAD in text or _OTHERS.match(text) or _HANDLED.search(text) or match(text)
    return bool(known) or is_command(text[:200])


class TracebackReader:
    """One traceback with its chain. Feed it lines from the head on; it is over when `feed` says False."""

    def __init__(self, head: Line) -> None:
        self._line = head
        before, _, _ = head.text.partition(HEAD)
        self._group = before.strip() in ("+ Exception Group", "| Exception Group")
        self._prefix = "" if self._group else before
        if before.strip() == "traceback :":  # in torchrun's account, which goes on in the column of that word
            self._prefix = before[: before.index("t")]
        self._chain: list[_Exception] = []
        self._now = _Exception()
        self._state = "frames"
        self._blanks = 0
        self._members: list[_Exception] = []
        self._depth = 0

    def feed(self, line: Line) -> bool:
        """Whether the line belongs to the traceback; when not, it has to be read by others."""
        text = line.text
        if self._prefix and text.startswith(self._prefix):
            text = text[len(self._prefix) :]
        elif self._prefix.isspace():
            text = text.removeprefix(self._prefix)
        if self._group:
            return self._feed_group(text)
        return self._frames(text) if self._state == "frames" else self._after(text, line)

    def _frames(self, text: str) -> bool:
        if found := _FRAME.match(text):
            self._now.add(found)
            return True
        if not text.strip() or text[:1].isspace():
            return bool(text.strip()) or not self._now.frames
        if EXCEPTION.match(text) or (self._now.frames and ": " in text):
            self._now.text.append(text)
            self._chain.append(self._now)
            self._state, self._blanks = "after", 0
            return True
        return False

    def _after(self, text: str, line: Line) -> bool:
        stripped = text.strip()
        if stripped in _LINKS:
            self._chain[-1].link = _LINKS[stripped]
            self._state = "linked"
            return True
        if self._state == "linked":
            if stripped == HEAD:
                self._now, self._state = _Exception(), "frames"
            elif "Exception Group Traceback (most" in stripped:
                self._group, self._now = True, _Exception()
            return not stripped or HEAD in stripped
        if HEAD in stripped and self._chain[-1].text[0].split(":")[0].endswith("RemoteTraceback"):
            self._chain.pop()  # what follows is its text, and is one exception of its own
            self._now, self._state = _Exception(), "frames"
            return True
        if not stripped or stripped in ('"""', "'''"):
            self._blanks += 1
            return self._blanks <= 3
        if self._blanks == 0 and (text[0].isspace() or self._chain[-1].text[-1].endswith(":")):
            if len(self._chain[-1].text) < 200:
                self._chain[-1].text.append(text)
            return True
        return self._continues(text, line)

    def _continues(self, text: str, line: Line) -> bool:
        """Whether the line, which is not indented, goes on with the message, as torch's and pydantic's do."""
        if line.ts or line.mark or self._blanks:
            return False
        message = self._chain[-1].text
        own = "validation error" in message[0]
        if len(message) >= (60 if own else _MOST_LINES):
            return False
        # Behind a prefix that every line of a log has, what follows looks like the message.
        if not own and (self._prefix.strip() or _speaks_for_itself(text)):
            return False
        message.append(text)
        return True

    def _feed_group(self, text: str) -> bool:
        if _SUB.match(text):
            self._close_member()
            return True
        bars = _GROUP.match(text)
        if bars is None:
            return self._after_group(text)
        inner = text[bars.end() :]
        if found := _FRAME.match(inner):
            self._now.add(found)
        elif inner[:1].isspace() or not inner.strip(" +-") or HEAD in inner:
            if self._now.text and inner[:1].isspace() and len(self._now.text) < 200:
                self._now.text.append(inner)
        elif inner.strip() in _LINKS:
            self._now.link = _LINKS[inner.strip()]
            self._close_member()
        elif EXCEPTION.match(inner) or ": " in inner:
            self._now.text.append(inner)
        return True

    def _after_group(self, text: str) -> bool:
        """A line beside the group: it may be linked to an exception outside of it."""
        if text.strip() in _LINKS:
            self._close_group()
            if self._chain:
                self._chain[-1].link, self._state = _LINKS[text.strip()], "linked"
            return bool(self._chain)
        self._blanks += 1
        return not text.strip() and self._blanks <= 2

    def _close_group(self) -> None:
        """Put the members before their group into the chain, which goes on without it."""
        self._close_member()
        leaves = [one for one in self._members if not _GROUP_ITSELF.search(one.text[0])]
        groups = [one for one in self._members if _GROUP_ITSELF.search(one.text[0])]
        for leaf in leaves:
            leaf.link = leaf.link if leaf.link in _LINKS.values() else "member"
        self._chain += [*leaves, *reversed(groups)]
        self._members, self._group = [], False

    def _close_member(self) -> None:
        if self._now.text:
            self._members.append(self._now)
        self._now = _Exception()

    def failure(self, *, introduction: str = "", following: str = "") -> Failure | None:
        """What was read, or None where it broke off before any exception.

        *introduction* and *following* are the lines beside it, which may say that it was handled.
        """
        if self._group:
            self._close_group()
        elif self._state == "frames" and self._now.frames:
            self._now.text = ["the traceback breaks off here, without its exception"]
            self._chain.append(self._now)
        if not self._chain:
            return None
        found = Failure(
            "traceback",
            Rank.SUMMARY if self._chain[0].text[0].startswith(_OF_A_CHILD) else Rank.REAL,
            tuple(one.cause() for one in self._chain),
            self._line.number,
            ts=self._line.ts,
        )
        for beside in (introduction, following):
            if (said := _HANDLED.search(beside)) and not gave_up(beside):
                return found.demoted(f"handled: '{said[0]}' stands beside it")
        if level := re.match(r"(?:\S+ ){0,3}?\[?(DEBUG|INFO|WARNING|WARN)\b", introduction):
            return found.demoted(f"logged as {level[1]}, not raised")
        return found


_SYNTAX = re.compile(r"(?P<type>SyntaxError|IndentationError|TabError): .+")


def syntax_failure(line: Line, before: list[Line]) -> Failure | None:
    """A syntax error that stands without a traceback: a file, the line of source, a caret, and the error."""
    if not _SYNTAX.match(line.text):
        return None
    for earlier in reversed(before[-6:]):
        if found := _FRAME.match(earlier.text):
            cause = Cause(line.text, f"{found['file']}:{found['line']}")
            return Failure("syntax", Rank.REAL, (cause,), earlier.number, subject=found["file"], ts=line.ts)
    return None
