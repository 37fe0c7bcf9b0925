"""Disks that are full, slow or broken, and a publish that is not atomic."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

from reproducibility.faults import inside_saves


def file_size_limit(*, size: int) -> None:
    """A disk that is full: no file grows beyond *size*."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def failing_fsync(*, number: str, after: int, times: int = 10**9) -> None:
    """fsync inside saves fails *times* times with errno *number* once *after* of them went well."""
    real, inside, seen = os.fsync, set(), 0
    error = getattr(errno, number)

    def failing(fd: int) -> None:
        nonlocal seen
        if threading.get_ident() in inside:
            seen += 1
            if after < seen <= after + times:
                raise OSError(error, os.strerror(error))
        real(fd)

    os.fsync = failing
    inside_saves(lambda _: inside.add(threading.get_ident()), lambda _: inside.clear())


def failing_rename(*, number: str, after: int) -> None:
    """Publishing a checkpoint fails with errno *number* once *after* of them went well."""
    real = os.rename
    seen = 0

    def rename(source: Any, target: Any, **options: Any) -> None:
        nonlocal seen
        if Path(target).name.startswith("step-"):
            seen += 1
            if seen > after:
                raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)), str(target))
        real(source, target, **options)

    os.rename = rename


def slow_disk(*, seconds: float) -> None:
    """Every fsync takes *seconds* longer."""
    fsync = os.fsync

    def slow(fd: int) -> None:
        time.sleep(seconds)
        fsync(fd)

    os.fsync = slow


def saves_in_flight(*, report: str) -> None:
    """Write down how many saves were on their way at once, at most."""
    flying, most = 0, 0

    def enter(_: int) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        Path(report).write_text(str(most))

    def leave(_: int) -> None:
        nonlocal flying
        flying -= 1

    inside_saves(enter, leave)


def copied_instead_of_renamed() -> None:
    """Take the atomic publish away: copy the directory to its name, file by file."""
    from codex_ml.core import publish

    real = os.rename

    def rename(source: Any, target: Any, **options: Any) -> None:
        if Path(target).name.startswith("step-") and Path(source).is_dir():
            shutil.copytree(source, target)
            shutil.rmtree(source)
            return
        real(source, target, **options)

    publish.os.rename = rename
