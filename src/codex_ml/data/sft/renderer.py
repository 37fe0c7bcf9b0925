"""Render conversations with a chat template, in a process of its own that is killed when one does not end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from codex_ml.core.optional import require
from codex_ml.data.sft.failures import FAILURES, MEMORY, at, crashed, timeout
from codex_ml.data.sft.template import ChatTemplate
from codex_ml.errors import DataError

#: Seconds for one conversation; templates take less than a thousandth of one.
SECONDS = 10
#: Characters that one conversation may become.
MOST = 1 << 24
#: Starting Python on a busy machine and compiling the template.
_START_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """A conversation to render. *place* is where it was read; *prompt*: ask for an answer at its end."""

    place: str
    messages: list[dict[str, Any]]
    tools: list[Any] | None = None
    prompt: bool = False


@dataclass(frozen=True)
class Rendered:
    """A conversation as text, and the character spans of its generation blocks."""

    text: str
    spans: tuple[tuple[int, int], ...]


class Renderer:
    """One template, compiled once in its process. Use as a context, or `close`."""

    def __init__(self, template: ChatTemplate, *, seconds: int = SECONDS, most: int = MOST) -> None:
        require("jinja2", extra="train")
        self.template = template
        self._seconds = seconds
        self._buffer = b""
        # -P: a file of the user's in the current directory is no module of ours.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "codex_ml.data.sft.render_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for us; what waits for input ends when we do
        )
        try:
            self._send(
                {
                    "template": template.text,
                    "special": template.special,
                    "seconds": seconds,
                    "most": most,
                    "memory": MEMORY,
                }
            )
            hello = self._receive(_START_SECONDS, place=None)
            if "kind" in hello:
                raise self._error(hello, place=None)
        except BaseException:
            self._kill()
            raise
        #: Whether the template says itself which text is an answer.
        self.marks_answers: bool = hello["generation"]

    def render(self, jobs: Sequence[Job]) -> list[Rendered | DataError]:
        """Each job's text, or why this conversation has none.

        Raises DataError for what is wrong with the template whatever the conversation: it does not end,
        it reaches out of the sandbox, it asks for the time.
        """
        if not jobs:
            return []
        self._send([{"messages": job.messages, "tools": job.tools, "prompt": job.prompt} for job in jobs])
        found: list[Rendered | DataError] = []
        for job in jobs:
            answer = self._receive(self._seconds, place=job.place)
            if "kind" not in answer:
                found.append(Rendered(answer["text"], tuple((a, b) for a, b in answer["spans"])))
                continue
            error = self._error(answer, place=job.place)
            if answer["kind"] not in ("raised", "error"):
                self._kill()
                raise error
            found.append(error)
        return found

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        self._kill()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._kill()

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # what was not sent is of no use any more
                    stream.close()

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._crashed(place=None) from error

    def _receive(self, seconds: float, *, place: str | None) -> dict[str, Any]:
        assert self._process.stdout is not None
        descriptor, deadline = self._process.stdout.fileno(), time.monotonic() + seconds
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while b"\n" not in self._buffer:
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                self._kill()
                raise timeout(self.template.name, place, seconds)
            piece = os.read(descriptor, 1 << 16)
            if not piece:
                raise self._crashed(place=place)
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _crashed(self, *, place: str | None) -> DataError:
        self._kill()
        return crashed(self.template.name, place, self._process.returncode)

    def _error(self, answer: dict[str, Any], *, place: str | None) -> DataError:
        return FAILURES[answer["kind"]](self.template.name, at(place), answer["message"])
