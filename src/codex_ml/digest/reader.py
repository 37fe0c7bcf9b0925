"""Read a log from a stream of bytes into its failures, in the order in which they stand there."""

from __future__ import annotations

from dataclasses import replace

from codex_ml.digest.clean import Line, clean
from codex_ml.digest.exceptions import GROUP_HEAD, HEAD, TracebackReader, syntax_failure
from codex_ml.digest.failures import Cause, Failure, Rank, clipped, cut
from codex_ml.digest.faults import FaultReader
from codex_ml.digest.harmless import harmless
from codex_ml.digest.jest import HEAD as JEST
from codex_ml.digest.jest import JestReader
from codex_ml.digest.kept import Kept
from codex_ml.digest.lint import ends_a_lint, lint_failures
from codex_ml.digest.located import ENDS, MOST_LINES, located_failures
from codex_ml.digest.messages import causes_of, placed
from codex_ml.digest.nox import nox_said
from codex_ml.digest.pytest_output import FINAL, SECTION, PytestReader
from codex_ml.digest.ranks import ROOT_CAUSE, RootCause
from codex_ml.digest.rules import match
from codex_ml.digest.signals import signal_notes
from codex_ml.digest.source import Source
from codex_ml.digest.steps import Steps, is_command

#: Kinds whose message goes on in indented lines.
_CONTINUED = ("uv", "rustc", "cmake", "error", "go", "java", "doctest")
_MOST_CONTINUED = 12
#: Characters of a line that are matched against forms of lines.
_MOST_MATCHED = 4096
_BY_A_TEST = "printed by a test; pytest's own account decides"
#: Kinds that end a session of pytest rather than being printed in it: the machine's, and a floor not reached.
_OF_THE_MACHINE = ("crash", "memory", "disk", "timeout", "node", "preempted", "cancelled", "make", "nox")
_ENDING = (*_OF_THE_MACHINE, "coverage")


class LogReader:
    """All that was read so far. `line` takes the lines; `hot` says that it has to see the next one, too."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.steps = Steps()
        self.pytest = PytestReader()
        self.sessions = 0  # of pytest
        self._tracebacks: dict[str, tuple[TracebackReader, str]] = {}
        self._open: tuple[Failure, list[str]] | None = None
        self.kept = Kept()
        self._explained = False  # whether anything more than a summary was found
        self._session_began = 0
        self._linted = 0  # the last line of a linter
        self.root_cause = RootCause()
        self._whole: FaultReader | JestReader | None = None  # a form of several lines that is being read
        self._last = 0  # the last line of any failure
        self._crash: Failure | None = None  # the last time that the interpreter said how it died

    @property
    def hot(self) -> bool:
        """Whether something is being read that the next line may belong to."""
        several = self._whole is not None or self.root_cause.hot
        return bool(self._tracebacks) or self.pytest.hot or self._open is not None or several

    def line(self, line: Line) -> None:
        """Read one line."""
        if self.root_cause.hot:
            self.root_cause.feed(line)
        if self._continue(line):
            return
        if line.stream in self._tracebacks:
            reader, introduction = self._tracebacks[line.stream]
            if reader.feed(line):
                return
            del self._tracebacks[line.stream]
            self._add(reader.failure(introduction=introduction, following=line.text), line.stream)
        if line.mark in ("warning", "notice", "debug"):
            return
        if self.pytest.hot or SECTION.match(line.text):
            if self._pytest_line(line):
                return
        elif self.steps.read(line):
            return
        if HEAD in line.text or GROUP_HEAD in line.text:
            self._tracebacks[line.stream] = (TracebackReader(line), self._introduction(line))
        else:
            self._single(line)

    def _pytest_line(self, line: Line) -> bool:
        found = SECTION.match(line.text)
        if found and found["title"] == "test session starts":
            self.sessions += 1
            self._session_began = line.number
            self.steps.session(line)
        taken = self.pytest.feed(line)
        if (found and FINAL.match(found["title"])) or not taken:
            self._session_over(line)
        return taken

    def _session_over(self, line: Line) -> None:
        """What was logged while a session ran is not why it ended: its own account is."""
        own, passed = bool(self.pytest.failures), self.pytest.passed and not self.pytest.failed
        if own or passed:
            self.kept.demote(self._session_began, _BY_A_TEST, but=_ENDING)
        self.take_pytest()
        self._session_began = line.number + 1

    def take_pytest(self) -> None:
        """Move the failures of the session to those of the log."""
        for failure in self.pytest.take():
            self._add(failure)

    def _introduction(self, line: Line) -> str:
        """The line before the traceback, of the same writer; or what stands before it on its own."""
        own = line.text.partition(HEAD)[0].strip()
        if own and not own.startswith(("+", "|")):
            return own
        before = [clean(raw, 0) for raw in self._source.before(4)]
        same = [one.text for one in before if one.stream == line.stream and one.text.strip()]
        return same[-1] if same else ""

    def _single(self, line: Line) -> None:
        text = line.text
        if text.startswith("nox > "):
            self._nox(line)
        elif text.startswith(ROOT_CAUSE):
            self.root_cause.begin()
        elif "FAIL " in text and (head := JEST.match(text)):
            self._whole = JestReader(head, line)
        elif text.startswith("ImportError while loading conftest"):
            self.pytest.loading_failed(line)
        elif "Error: " in text and (found := syntax_failure(line, self._before(6, line))):
            self._add(found)
        elif ends_a_lint(text):
            # What stands before the last such line is that one's.
            for failure in lint_failures(self._before(min(400, line.number - self._linted - 1), line)):
                self._add(failure)
            self._linted = line.number
        elif FINAL.match(text.lstrip("= ")):  # pytest -q
            self.pytest.failed, self.pytest.passed = " failed" in text or " error" in text, " passed" in text
            self._session_over(line)
        else:
            self._by_rule(line)

    def _before(self, most: int, line: Line) -> list[Line]:
        raw = self._source.before(most)
        return [clean(one, line.number - len(raw) + at) for at, one in enumerate(raw)]

    def _nox(self, line: Line) -> None:
        if said := nox_said(line.text):
            if said.rank is Rank.SUMMARY:
                self._located(line)
            self._add(self._made("nox", said.rank, said.what, line, subject=said.session))
        elif " was successful" in line.text:
            self.kept.demote(self.steps.began, "the session was successful")

    def _by_rule(self, line: Line) -> None:
        if line.text.startswith(("make", "gmake")) and line.text.endswith("(ignored)"):
            self.kept.demote(self.steps.began, "make ignores the error of this recipe")
            return
        text = cut(line.text, _MOST_MATCHED).strip()  # installers indent what they quote
        if (answer := match(text)) and harmless(text):
            return
        if answer:
            rule, found = answer
            if rule.kind in _OF_THE_MACHINE and is_command(line.text):
                return  # what a shell or make echoes was not said by the machine
            groups = found.groupdict()
            place, subject = groups.get("place"), groups.get("subject")
            rank = rule.rank
            if rule.kind == "crash" and self._crash and self._crash.number == self.steps.number:
                rank = Rank.SUMMARY  # the shell says once more what the interpreter said before
            if rank is Rank.SUMMARY and rule.kind in ENDS:
                self._located(line)
            made = self._made(rule.kind, rank, groups["what"], line, place=place, subject=subject)
            if made.root.text.startswith("Fatal Python error: "):
                self._crash = replace(made, number=self.steps.number)
                self._whole = FaultReader(replace(made, rank=Rank.REAL))
            elif rule.kind in _CONTINUED:
                self._open = (made, [groups["what"]])
            else:
                self._add(made)
        elif line.mark == "error" and line.text.strip():
            self._add(self._made("error", Rank.REPORTED, line.text, line))

    def _made(
        self,
        kind: str,
        rank: Rank,
        what: str,
        line: Line,
        *,
        place: str | None = None,
        subject: str | None = None,
    ) -> Failure:
        notes: tuple[str, ...] = ()
        if rank is Rank.SUMMARY and not self._explained:
            before = [one.text for one in self._before(8, line) if one.text.strip()]
            notes = ("before it: " + clipped("\n".join(before[-4:])),) if before else ()
            notes += signal_notes(what)
        causes = (Cause(clipped(what.strip()), place),)
        return Failure(kind, rank, causes, line.number, subject=subject, ts=line.ts, notes=notes)

    def _located(self, line: Line) -> None:
        """Add what a compiler said since the last failure, before the summary in *line*."""
        since = max(self._last, self._linted, self.steps.began)
        for failure in located_failures(self._before(min(MOST_LINES, line.number - since - 1), line)):
            self._add(failure)

    def _continue(self, line: Line) -> bool:
        """Whether the line goes on with the failure before it: with its stack, or with its message."""
        if self._whole is not None:
            if self._whole.feed(line):
                return True
            self._take_whole()
        if self._open is None:
            return False
        failure, text = self._open
        goes_on = line.text[:1].isspace() or line.text.startswith(("╰", "│", "|", "=", "Caused by: "))
        if goes_on and line.text.strip() and len(text) < _MOST_CONTINUED:
            text.append(line.text.rstrip())
            return True
        self._open = None
        if len(text) > 1:
            failure = replace(failure, causes=causes_of(failure, text))
        self._add(placed(failure))
        return False

    def _take_whole(self) -> None:
        for failure in self._whole.take() if self._whole else ():
            self._add(failure)
        self._whole = None

    def _add(self, failure: Failure | None, stream: str = "") -> None:
        if failure is None:
            return
        self._last = max(self._last, failure.line)
        failure = replace(failure, stream=stream) if stream else failure
        self._explained = self._explained or failure.rank > Rank.SUMMARY
        steps = self.steps
        if steps.name and not failure.step:
            command = failure.command or steps.command
            failure = replace(failure, step=steps.name, number=steps.number, command=command)
        self.kept.add(failure)

    def finish(self) -> None:
        """The input is over; close what is open."""
        self._continue(Line("", 0))
        self._take_whole()
        for stream, (reader, introduction) in self._tracebacks.items():
            self._add(reader.failure(introduction=introduction), stream)
        self._tracebacks.clear()
        self.pytest.finish()
        if self.pytest.failures:
            self._session_over(Line("", 0))


def read_log(source: Source) -> LogReader:
    """The reader that has seen all of *source*."""
    reader = LogReader(source)
    for raw, number in source.lines():
        reader.line(clean(raw, number))
        source.hot = reader.hot
    reader.finish()
    return reader
