"""Calls of git that end in time and change nothing.

No hook, pager, prompt, monitor of files, external diff or text conversion of the repository's config is
run. A ``filter.NAME.clean`` that the config defines is: git needs it to tell whether a file has changed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

#: No hook, no pager, no prompt, no refresh of the index on disk.
_OPTIONS = ("-c", "core.fsmonitor=false", "-c", "core.quotepath=false", "-c", "diff.external=")
_VARIABLES = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
#: They name a repository and its parts, as within a hook; here the directory does.
_ELSEWHERE = frozenset(
    {
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"),
        *("GIT_PREFIX", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
        *("GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_INTERNAL_SUPER_PREFIX"),
    }
)
_PIECE = 1 << 16


@dataclass(frozen=True)
class Answer:
    """What git said. *cut*: it was stopped, for time or size, and *out* is the beginning.

    *out* holds at most what was asked for; *size* and *sha256* are those of all that was read.
    """

    code: int
    out: bytes
    error: str
    size: int
    sha256: str
    cut: bool

    @property
    def good(self) -> bool:
        return self.code == 0 and not self.cut

    def line(self) -> str:
        """The answer as one line of text."""
        return self.out.decode("utf-8", "replace").strip()

    def names(self) -> list[str]:
        """NUL-separated names; a name that was cut off is left out."""
        names = self.out.split(b"\0")[:-1]
        return [name.decode("utf-8", "replace") for name in names]


def git(
    directory: Path,
    *words: str,
    seconds: float,
    keep: int = 1 << 24,
    read: int = 1 << 28,
    alone: bool = False,
) -> Answer | None:
    """Run ``git -C directory words…`` for at most *seconds* and *read* bytes; None: there is no git.

    The repository is that of *directory*, whatever the environment says. *alone*: there is none, in no
    directory above either, and nobody's settings count.
    """
    command = ["git", *_OPTIONS, "-C", str(directory), *words]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(directory if alone else None),
        )
    except OSError:  # absent, or not to be executed
        return None
    return _collect(process, seconds=seconds, keep=keep, read=read)


def _environment(lonely: Path | None) -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE} | _VARIABLES
    if lonely is not None:
        found |= {
            "GIT_CEILING_DIRECTORIES": str(lonely.resolve().parent),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "0",
            "GIT_CONFIG_PARAMETERS": "",
        }
    return found


def _collect(process: subprocess.Popen[bytes], *, seconds: float, keep: int, read: int) -> Answer:
    assert process.stdout is not None
    assert process.stderr is not None
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, stop)
    timer.start()
    errors: list[bytes] = []
    listener = threading.Thread(target=lambda: errors.append(_drain(process)), daemon=True)
    listener.start()
    sha, kept, size, full = hashlib.sha256(), bytearray(), 0, False
    try:
        while piece := process.stdout.read1(_PIECE):  # type: ignore[attr-defined]
            sha.update(piece)
            size += len(piece)
            kept += piece[: max(0, keep - len(kept))]
            if size >= read:
                full = True
                process.kill()
                break
        code = process.wait()
        listener.join(1.0)
    finally:
        timer.cancel()
        process.stdout.close()
    text = b"".join(errors).decode("utf-8", "replace").strip()
    return Answer(code, bytes(kept), text, size, sha.hexdigest(), cut=late.is_set() or full)


def _drain(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stderr is not None
    with process.stderr:
        return process.stderr.read()[:2000]
