"""pytest's output: failures, errors of set-up and collection, the short summary; xdist's, too."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections import defaultdict, deque
from dataclasses import replace
from itertools import islice

from codex_ml.digest.clean import Line
from codex_ml.digest.exceptions import GROUP_HEAD, HEAD, TracebackReader
from codex_ml.digest.failures import Cause, Failure, Rank, clipped

SECTION = re.compile(r"={3,} (?P<title>.+?) ={3,}$")
_ITEM = re.compile(r"_{3,} (?P<title>.+?) _{3,}$")
_CAPTURED = re.compile(r"-{3,} Captured .* -{3,}$")
_LOCATION = re.compile(r"(?P<place>[^\s:]{1,400}\.\w{1,5}:\d+): (?P<rest>\S.*)$")
_ONE_LINE = re.compile(r"(?P<place>\S{1,400}:\d+): (?P<what>\w[\w.]*(?:Error|Exception|Failed|Exit)\b.*)")
_LINKED = ("direct cause of the following exception", "During handling of the above exception")
_MOST_TEXT = 400  # lines of one message
_MOST_COMPARED = 50
#: ``1 failed, 2 passed in 0.12s``; every repeat ends at a sign that it cannot hold.
FINAL = re.compile(r"\d+ \w+(?: subtests)?(?:, \d+ \w+)* in [\d.:]+s?")


def summary(text: str) -> tuple[str, str, str | None] | None:
    """Word, node and reason of a line ``FAILED tests/a.py::test_b[x - y] - why`` of the short summary."""
    word, _, rest = text.partition(" ")
    if word not in ("FAILED", "ERROR"):
        return None
    end, opened = rest.find(" - "), rest.find("[")
    if opened >= 0 and (end < 0 or opened < end):  # parameters may hold anything
        closed = rest.find("] - ", opened)
        end = closed + 1 if closed >= 0 else len(rest) if rest.endswith("]") else end
    node, why = (rest, None) if end < 0 else (rest[:end], rest[end + 3 :] or None)
    file, test, _ = node.partition("::")
    if not test and node.endswith("]"):
        file = node.partition("[")[0]
    return (word, node.strip(), why) if file and not re.search(r"\s", file) else None


class PytestReader:
    """One session of pytest. `feed` says whether a line was its own; `failures` holds what was found."""

    def __init__(self) -> None:
        self.section = ""
        self.failures: list[Failure] = []
        self.failed = self.passed = False  # as the last line of the session says
        self._title = ""
        self._start: Line | None = None
        self._groups: list[tuple[list[str], str | None, str]] = []  # text, place, link
        self._text: list[str] = []
        self._place: str | None = None
        self._captured = False
        self._native: TracebackReader | None = None
        self._loose = False  # before any session: a conftest that does not load
        self._indexed = 0  # failures that are in the next three: full names, and places of those without one
        self._names: set[str] = set()
        self._unnamed: dict[str, deque[int]] = defaultdict(deque)
        self._nameless: deque[int] = deque()

    def loading_failed(self, line: Line) -> None:
        """Read the lines after ``ImportError while loading conftest …``, which have no section."""
        self.section, self._loose = "ERRORS", True
        self._title, self._start = f"ERROR collecting {line.text.split(' ')[-1].strip(chr(39) + '.')}", line

    @property
    def hot(self) -> bool:
        """Whether the reader has to see every line."""
        return bool(self.section)

    def feed(self, line: Line) -> bool:
        """Read *line* within or at the beginning of a section."""
        text = line.text
        if found := SECTION.match(text):
            self._close()
            title = found["title"]
            known = (
                "FAILURES",
                "ERRORS",
                "short test summary info",
                "XFAILURES",
                "warnings summary",
                "XPASSES",
            )
            self.section = title if title in known else ""
            if FINAL.match(title):
                self.failed, self.passed = " failed" in title or " error" in title, " passed" in title
            return True
        if self.section == "short test summary info":
            if named := summary(text):
                self._summary(*named, line)
            elif FINAL.match(text):  # pytest -q: no bars around the last line
                self.failed, self.passed = " failed" in text or " error" in text, " passed" in text
                self.finish()
                return False
            elif self._is_foreign(line):
                self.finish()
                return False
            return True
        if self.section and self._is_foreign(line):
            self.finish()
            return False
        if self.section in ("FAILURES", "ERRORS"):
            return self._item_line(text, line)
        return bool(self.section)

    def _is_foreign(self, line: Line) -> bool:
        """Whether the session broke off, and its caller speaks."""
        loose = self._loose and not re.match(r"E |\s|$|\S{1,400}:\d+: ", line.text)
        return (
            loose or line.mark == "error" or bool(re.match(r"nox > |g?make(?:\[\d+\])?: |Killed$", line.text))
        )

    def _item_line(self, text: str, line: Line) -> bool:
        if found := _ITEM.match(text):
            self._close()
            self._title, self._start = found["title"], line
            return True
        if self._start is None:
            if found := _ONE_LINE.match(text):  # --tb=line
                cause = Cause(found["what"], found["place"])
                self.failures.append(Failure("pytest", Rank.REAL, (cause,), line.number, ts=line.ts))
            return True
        self._captured = self._captured or bool(_CAPTURED.match(text))
        if not self._captured:
            self._detail(text, line)
        return True

    def _detail(self, text: str, line: Line) -> None:
        """Read a line of the traceback of an item."""
        if self._native is not None:
            if self._native.feed(line):
                return
            self._take_native()
        if text.strip() == HEAD or GROUP_HEAD in text:
            self._native = TracebackReader(line)
        elif text.startswith("E  ") or text == "E":
            if len(self._text) < _MOST_TEXT:
                self._text.append(text[1:].removeprefix("   "))
        elif any(words in text for words in _LINKED):
            self._group("cause" if "direct cause" in text else "context")
        elif (found := _LOCATION.match(text)) and not (found["rest"].startswith("in ") and self._text):
            self._place = found["place"]

    def _take_native(self) -> None:
        found = self._native.failure() if self._native else None
        self._native = None
        if found:
            self._groups += [([cause.text], cause.place, cause.link) for cause in found.causes]

    def _group(self, link: str) -> None:
        if self._text:
            self._groups.append((self._text, self._place, link))
        self._text, self._place = [], None

    def _close(self) -> None:
        """Make a failure of the item that was read."""
        if self._native is not None:
            self._take_native()
        self._group("then")
        if self._start is not None:
            causes = tuple(
                Cause(clipped(textwrap.dedent("\n".join(text))), place, link)
                for text, place, link in self._groups
            )
            title = self._title
            kind = "collection" if title.startswith("ERROR collecting") else "pytest"
            causes = causes or (Cause(f"{title}: failed without a message"),)
            subject = title.removeprefix("ERROR collecting ")
            self.failures.append(
                Failure(kind, Rank.REAL, causes, self._start.number, subject=subject, ts=self._start.ts)
            )
        self._title, self._start, self._groups, self._captured = "", None, [], False

    def _summary(self, word: str, node: str, why: str | None, line: Line) -> None:
        """Give a failure its full name, or note one of which nothing else was printed."""
        self._index()
        name = node.split("::", 1)[1].replace("::", ".") if "::" in node else node
        at = next((known.popleft() for one in (name, node) if (known := self._unnamed.get(one))), None)
        if at is None and node in self._names:
            return
        if at is None and (said := (why or "").removesuffix("...")):
            at = self._nameless_that_says(said)
        self._names.add(node)
        if at is not None:
            self.failures[at] = _named(self.failures[at], node)
            return
        cause = Cause(clipped(why or f"{node} {word.lower()}"))
        self.failures.append(_named(Failure("pytest", Rank.REAL, (cause,), line.number, ts=line.ts), node))

    def _nameless_that_says(self, said: str) -> int | None:
        """--tb=line prints what failed and not which test; the summary names them in the same order."""
        for place, at in enumerate(islice(self._nameless, _MOST_COMPARED)):
            if self.failures[at].root.text.startswith(said):
                del self._nameless[place]
                return at
        return None

    def _index(self) -> None:
        """Find by subject what was added since; a summary may have as many lines as there are failures."""
        for at in range(self._indexed, len(self.failures)):
            known = self.failures[at]
            if known.subject is None:
                self._nameless.append(at)
            elif known.command is None:
                subject = known.subject.removeprefix("ERROR at setup of ")
                self._unnamed[subject.removeprefix("ERROR at teardown of ")].append(at)
        self._indexed = len(self.failures)

    def take(self) -> list[Failure]:
        """What was found in the session, which is over."""
        found, self.failures = self.failures, []
        self._indexed = 0
        self._names.clear()
        self._unnamed.clear()
        self._nameless.clear()
        return found

    def finish(self) -> None:
        """The input is over."""
        self._close()
        self.section, self._loose = "", False


def _named(failure: Failure, node: str) -> Failure:
    return replace(failure, subject=node, command=f"pytest {shlex.quote(node)}")
