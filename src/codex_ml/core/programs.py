"""Run one program to its end or the end of its time; nothing that it started outlives the call."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

from codex_ml.core.redact import redact_text


def run_program(argv: Sequence[str], *, cwd: Path, seconds: float, output: IO[bytes]) -> int | None:
    """Run *argv* without a shell, without stdin, both its streams into *output*.

    Returns the exit code, or None where its time was over. Raises OSError where it cannot be started. However
    the call ends, by a signal too, the program's process group is ended with it.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        start_new_session=True,
    )
    with _ended_with_us(process):
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the group, also what a program that is over has left behind in it."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End *process* when a signal ends this program: its group of its own hears no Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        _end(process)
        signal.signal(number, before[number])
        os.kill(os.getpid(), number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {int(number): signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def last_of(output: IO[bytes], most: int) -> str:
    """The last *most* bytes of *output*, redacted: whole lines, for half a secret is not known as one."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - most))
    text = output.read().decode("utf-8", "replace")
    if size > most:
        text = f"… ({size - most} bytes before)\n{text.partition(chr(10))[2]}"
    return redact_text(text)
