"""The stack that Python's faulthandler prints when the interpreter itself dies."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from codex_ml.digest.clean import Line
from codex_ml.digest.exceptions import is_library
from codex_ml.digest.failures import Cause, Failure

#: The current thread is the one that died; others may be printed before it.
_THREAD = re.compile(r"(?P<which>Current thread|Thread) 0x[0-9a-f]{1,16}\b.* \(most recent call first\):$")
_FRAME = re.compile(r'  File "(?P<file>[^"]{1,1000})", line (?P<line>\d+) in (?P<name>.+)$')
_BETWEEN = re.compile(r"$|Python runtime state: |Extension modules: |  (?:\.\.\.|<no Python frame>|<invalid)")
_TEST = re.compile(r"test\w*\.py|\w*_test\.py")


class FaultReader:
    """The stack below *failure*. Feed it the lines that follow; it is over when `feed` says False."""

    def __init__(self, failure: Failure) -> None:
        self._failure = failure
        self._current = False
        self._frames: list[
            tuple[str, str, str]
        ] = []  # of the thread that died: file, line, name; newest first

    def feed(self, line: Line) -> bool:
        """Whether *line* belongs to the stack."""
        text = line.text
        if found := _THREAD.match(text):
            self._current = found["which"] == "Current thread"
        elif found := _FRAME.match(text):
            if self._current and len(self._frames) < 200:
                self._frames.append((found["file"], found["line"], found["name"]))
        elif not text.strip():
            self._current = False
        else:
            return _BETWEEN.match(text) is not None
        return True

    def take(self) -> list[Failure]:
        """The failure with its place, the newest frame of one's own code, and the test that ran then."""
        own = [one for one in self._frames if not is_library(one[0])] or self._frames
        if not own:
            return [self._failure]
        file, number, _ = own[0]
        root = Cause(self._failure.root.text, f"{file}:{number}")
        test = self._test()
        command = f"pytest {shlex.quote(test)}" if test else None
        subject = test or self._failure.subject
        return [replace(self._failure, causes=(root,), subject=subject, command=command)]

    def _test(self) -> str | None:
        shown = self._failure.subject or ""  # what pytest prints before it runs a file, or with -v a test
        if "::" in shown:
            return shown
        for file, _, name in self._frames:
            if name.startswith("test") and _TEST.fullmatch(re.split(r"[\\/]", file)[-1]):
                return f"{shown if shown and file.endswith(shown) else file}::{name}"
        return None
