"""The files of a repository, read and never run; what could not be read is listed, not hidden."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from codex_ml.core.git_calls import git
from codex_ml.errors import DataError

#: A file above this is listed and not read.
LARGEST = 8_000_000
_SECONDS = 60.0
#: Left out where no git says what belongs to the repository.
_SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", "env", "node_modules", "__pycache__", "build", "dist"),
        *(".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".eggs"),
        *("site-packages", "wandb", "mlruns", "lightning_logs"),
    }
)
#: Of these nobody wants to hear.
_CACHES = frozenset(
    {
        *(".git", ".hg", ".svn", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache"),
        *(".pytest_cache", ".ruff_cache", ".hypothesis", ".eggs"),
    }
)


@dataclass(frozen=True)
class File:
    """One file; *path* is relative to the root, with ``/``, and printable (`shown`)."""

    path: str
    size: int
    place: Path

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return self.place.suffix.lower()


@dataclass(frozen=True)
class Unread:
    """Something that is there and was not read, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class GitFacts:
    """Of HEAD: *date* is the committer's, YYYY-MM-DD in UTC; empty where it is none that a calendar has."""

    branch: str
    commit: str
    date: str
    seconds: int


@dataclass(frozen=True)
class Tree:
    """A repository as it lies on disk."""

    root: Path
    name: str
    files: tuple[File, ...]
    unread: tuple[Unread, ...]
    git: GitFacts | None

    def named(self, *names: str) -> Iterator[File]:
        """Files whose name is one of *names*, whatever its case."""
        wanted = {name.lower() for name in names}
        return (file for file in self.files if file.name.lower() in wanted)


def read_tree(root: Path) -> Tree:
    """List the files below *root*, without following links.

    Git says what belongs to it where there is a repository (ignored files are left out). Raises DataError
    for what is no directory or cannot be opened.
    """
    if not root.is_dir():
        raise DataError(
            f"{shown(str(root))} is no directory",
            code="audit.root",
            got="a file" if root.exists() else "nothing there",
            wanted="the directory of a repository",
            next_step="give the directory of a repository: codex-ml audit PATH",
        )
    try:
        os.scandir(root).close()
    except PermissionError as error:
        raise DataError(
            f"{shown(str(root))} cannot be opened",
            code="audit.root",
            got=str(error),
            next_step="give yourself the right to read it",
        ) from error
    unread: list[Unread] = []
    _is_link.cache_clear()
    names = _tracked(root, unread)
    found = _walk(root, unread) if names is None else names
    files = [file for name in sorted(set(found)) if (file := _file(root, name, unread)) is not None]
    name = shown(root.resolve().name) or "repository"
    return Tree(root, name, tuple(files), tuple(sorted(unread, key=lambda one: one.path)), _git_facts(root))


def shown(text: str) -> str:
    """*text* on one line, with what does not print or is no UTF-8 escaped."""
    return "".join(
        letter if letter.isprintable() and not "\ud800" <= letter <= "\udfff" else ascii(letter)[1:-1]
        for letter in text
    )


def read_bytes(file: File) -> bytes | None:
    """The contents, or None when they cannot be read any more."""
    try:
        return file.place.read_bytes()
    except OSError:
        return None


def _tracked(root: Path, unread: list[Unread]) -> list[str] | None:
    """What git counts to the repository, new files included; None where there is none."""
    answer = git(
        root,
        *("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        *("--", "."),
        seconds=_SECONDS,
        keep=1 << 28,
    )
    if answer is None or not answer.good:
        if (root / ".git").exists():
            said = "there is no git" if answer is None else answer.error.splitlines()[:1]
            unread.append(Unread(".git", f"git does not read it, so ignored files count too: {said}"[:200]))
        return None
    return [os.fsdecode(name) for name in answer.out.split(b"\0") if name] or None


def _walk(root: Path, unread: list[Unread]) -> Iterator[str]:
    def failed(error: OSError) -> None:
        place = os.path.relpath(os.fsdecode(error.filename), root)
        unread.append(Unread(shown(place), _reason(error)))

    for folder, folders, names in os.walk(root, onerror=failed):
        for name in sorted(_SKIPPED.intersection(folders) - _CACHES):
            place = os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118
            unread.append(Unread(shown(place), "left out: no git says whether it belongs to the repository"))
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in [*names, *(name for name in folders if (Path(folder) / name).is_symlink())]:
            yield os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 - names of any bytes


def _file(root: Path, name: str, unread: list[Unread]) -> File | None:
    place = root / name
    path = shown(name)
    try:
        status = place.lstat()
    except FileNotFoundError:
        return None  # deleted and still in the index
    except OSError as error:
        unread.append(Unread(path, _reason(error)))
        return None
    above = _link_above(root, name)
    if above:
        unread.append(Unread(path, f"below a symbolic link ({shown(above)}), not followed"))
    elif stat.S_ISLNK(status.st_mode):
        unread.append(Unread(path, f"a symbolic link to {shown(str(place.readlink()))}, not followed"))
    elif stat.S_ISDIR(status.st_mode):
        unread.append(Unread(path, "a repository of its own (submodule)"))
    elif not stat.S_ISREG(status.st_mode):
        unread.append(Unread(path, "neither a file nor a directory"))
    elif not os.access(place, os.R_OK):
        unread.append(Unread(path, "no permission to read"))
    elif status.st_size > LARGEST:
        unread.append(Unread(path, f"{status.st_size:,} bytes, more than the {LARGEST:,} that are read"))
    else:
        return File(path, status.st_size, place)
    return None


def _link_above(root: Path, name: str) -> str:
    """The folder of *name* that is a link; a repository may hold a path that now leads elsewhere."""
    folder = root
    for part in Path(name).parts[:-1]:
        folder /= part
        if _is_link(folder):
            return os.path.relpath(folder, root)
    return ""


@lru_cache(maxsize=4096)
def _is_link(folder: Path) -> bool:
    return folder.is_symlink()


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _git_facts(root: Path) -> GitFacts | None:
    """Plumbing alone: nothing that the repository's config could make git run."""
    head = git(root, "rev-parse", "--verify", "HEAD^{commit}", seconds=_SECONDS)
    if head is None or not head.good:
        return None
    body = git(root, "cat-file", "commit", head.line(), seconds=_SECONDS)
    branch = git(root, "symbolic-ref", "--quiet", "--short", "HEAD", seconds=_SECONDS)
    seconds = 0
    for line in body.line().splitlines() if body is not None and body.good else ():
        if line.startswith("committer "):
            seconds = int(line.split()[-2])
            break
    named = branch.line() if branch is not None and branch.good else "(detached)"
    return GitFacts(shown(named), head.line(), day(seconds), seconds)


def day(seconds: int) -> str:
    """YYYY-MM-DD in UTC; empty for a time that no calendar has."""
    from datetime import UTC, datetime

    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}".zfill(10)
    except (ValueError, OverflowError, OSError):
        return ""
