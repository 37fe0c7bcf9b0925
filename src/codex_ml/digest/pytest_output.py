"""pytest's output: failures, errors of set-up and collection, the short summary; xdist's, too."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import replace

from codex_ml.digest.clean import Line
from codex_ml.digest.exceptions import GROUP_HEAD, HEAD, TracebackReader
from codex_ml.digest.failures import Cause, Failure, Rank, clipped

SECTION = re.compile(r"={3,} (?P<title>.+?) ={3,}$")
_ITEM = re.compile(r"_{3,} (?P<title>.+?) _{3,}$")
_CAPTURED = re.compile(r"-{3,} Captured .* -{3,}$")
_LOCATION = re.compile(r"(?P<place>[^\s:]{1,400}\.\w{1,5}:\d+): (?P<rest>\S.*)$")
_ONE_LINE = re.compile(r"(?P<place>\S{1,400}:\d+): (?P<what>\w[\w.]*(?:Error|Exception|Failed|Exit)\b.*)")
SUMMARY = re.compile(
    r"(?P<word>FAILED|ERROR) (?P<node>\S+(?:::\S.*?|\.py|/\S+)?(?:\[.*?\])?)(?: - (?P<why>.*))?$"
)
_LINKED = ("direct cause of the following exception", "During handling of the above exception")
_MOST_TEXT = 400  # lines of one message
_FINAL = re.compile(r"(?:\d+ \w+(?:, )?)+ in [\d.:]+s?")


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
            if _FINAL.match(title):
                self.failed, self.passed = " failed" in title or " error" in title, " passed" in title
            return True
        if self.section == "short test summary info":
            if found := SUMMARY.match(text):
                self._summary(found, line)
            elif _FINAL.match(text):  # pytest -q: no bars around the last line
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

    def _summary(self, found: re.Match[str], line: Line) -> None:
        """Give a failure its full name, or note one of which nothing else was printed."""
        node = found["node"].strip()
        name = node.split("::", 1)[1].replace("::", ".") if "::" in node else node
        for at, known in enumerate(self.failures):
            subject = (
                (known.subject or "").removeprefix("ERROR at setup of ").removeprefix("ERROR at teardown of ")
            )
            if known.command is None and (subject == name or (subject and subject == node)):
                self.failures[at] = _named(known, node)
                return
        if any(known.subject == node for known in self.failures):
            return
        said = (found["why"] or "").removesuffix("...")
        for at, known in enumerate(self.failures):  # --tb=line prints what failed and not which test
            if known.subject is None and said and known.root.text.startswith(said):
                self.failures[at] = _named(known, node)
                return
        cause = Cause(found["why"] or f"{node} {found['word'].lower()}")
        failure = Failure("pytest", Rank.REAL, (cause,), line.number, ts=line.ts)
        self.failures.append(_named(failure, node))

    def finish(self) -> None:
        """The input is over."""
        self._close()
        self.section, self._loose = "", False


def _named(failure: Failure, node: str) -> Failure:
    return replace(failure, subject=node, command=f"pytest {shlex.quote(node)}")
