"""Failed tests of jest and vitest: the file, the name of the test, the error below it, the place."""

from __future__ import annotations

import re

from codex_ml.digest.clean import Line
from codex_ml.digest.failures import Cause, Failure, Rank, clipped, cut

_FILE = r"[^\s:]{1,300}\.[cm]?[jt]sx?"
#: ``FAIL src/a.test.js (5.1 s)``; vitest names the test in the same line.
HEAD = re.compile(
    rf"\s{{0,4}}FAIL\s{{1,4}}(?:\|?\S{{1,40}}\s)?(?P<file>{_FILE})(?: > (?P<name>.+)|(?: \([^()]*\))?$)"
)
_ITEM = re.compile(r"\s{1,6}● (?P<name>\S.*)$")
_STACK = re.compile(rf"\s*(?:at .*?\(?|❯ )(?P<place>{_FILE}:\d+):\d+\)?$")
_ERROR = re.compile(r"\s*(?:[A-Za-z_][\w.]{0,80}(?:Error|Exception)\b|thrown: |expect\(|expected )")
_CODE = re.compile(r"\s*>?\s*\d{1,6} ?\||\s*\|")
_OVER = re.compile(r"(?:Test Suites|Tests|Snapshots|Time): |PASS |Test Files ")
_MOST_TEXT = 12
_MOST_CHARACTERS = 1000


class JestReader:
    """The failures of one file. Feed it lines after the `HEAD`; it is over when `feed` says False."""

    def __init__(self, head: re.Match[str], line: Line) -> None:
        self._file, self._name, self._line = head["file"], head["name"] or "", line
        self._text: list[str] = []
        self._place: str | None = None
        self._named = self._vitest = bool(self._name)
        self._muted = False
        self.failures: list[Failure] = []

    def feed(self, line: Line) -> bool:
        """Whether *line* belongs to the failures of the file."""
        text = cut(line.text, _MOST_CHARACTERS)
        if found := _ITEM.match(text):
            self._close()
            self._name, self._named, self._line = found["name"].strip(), True, line
            self._muted = self._name == "Console"  # what the tests printed
        elif found := _STACK.match(text):
            inside = "node_modules" in found["place"]
            self._place = self._place if self._place or inside else found["place"]
        elif _OVER.match(text.lstrip()) or HEAD.match(text) or self._of_others(text):
            return False
        else:
            self._say(text)
        return True

    def _of_others(self, text: str) -> bool:
        if not text.strip() or text[0].isspace() or _ERROR.match(text):
            return False
        compared = self._vitest and self._place is None and text.startswith(("- ", "+ "))
        return not compared

    def take(self) -> list[Failure]:
        """What was found in the file."""
        self._close()
        return self.failures

    def _say(self, text: str) -> None:
        """The message stands before the source that is shown; without an item, it begins as an error does."""
        known = self._named or self._text or _ERROR.match(text)
        if self._muted or self._place or not known or not text.strip() or _CODE.match(text):
            return
        if len(self._text) < _MOST_TEXT:
            self._text.append(text.strip())

    def _close(self) -> None:
        """Make a failure of what was read."""
        if self._text:
            subject = f"{self._file} › {self._name}" if self._name else self._file
            cause = Cause(clipped("\n".join(self._text)), self._place)
            self.failures.append(
                Failure("jest", Rank.REAL, (cause,), self._line.number, subject=subject, ts=self._line.ts)
            )
        self._text, self._place = [], None
