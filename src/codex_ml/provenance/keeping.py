"""Move runs aside, pack them into one file, and remove what nobody goes on with."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.digest import digest_file
from codex_ml.core.paths import Home
from codex_ml.core.publish import fsync_path, writing
from codex_ml.errors import IntegrityError, UsageError
from codex_ml.provenance.index import list_summaries
from codex_ml.provenance.run_directory import RunDirectory

#: The end of the name that `RunDirectory.archive` gives.
_ARCHIVED = re.compile(r"\.archived-\d{8}-\d{6}-[0-9a-f]{4}$")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Removable:
    """A run that nobody goes on with, and why. *age* is in days since its last change."""

    run: str
    reason: str
    age: float
    size: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def original_name(run: str) -> str:
    """The name of a run before it was moved aside."""
    return _ARCHIVED.sub("", run)


def pack(directory: RunDirectory, target: Path) -> str:
    """Write the whole run to the new tar file *target* and read it back; its sha256.

    The same run gives the same bytes: files by name, without owners, with their own times. Raises UsageError
    when *target* exists or lies inside the run, IntegrityError when it does not hold what the run holds.
    """
    if target.exists() or directory.path.resolve() in target.resolve().parents:
        reason = "exists" if target.exists() else "lies inside the run that it is to hold"
        raise UsageError(f"{target} {reason}", code="runs.exists", next_step="choose another --to")
    files = [path for path in sorted(directory.path.rglob("*")) if not _passing(path, directory.path)]
    with writing(target), tarfile.open(target, "x", format=tarfile.PAX_FORMAT) as out:
        for path in files:
            name = f"{directory.name}/{path.relative_to(directory.path).as_posix()}"
            out.add(path, name, recursive=False, filter=_anonymous)
    fsync_path(target)
    _check_packed(target, directory, files)
    return digest_file(target)


def _passing(path: Path, root: Path) -> bool:
    """The lock, and what a killed write left behind."""
    return any(part == ".lock" or part.startswith(".tmp-") for part in path.relative_to(root).parts)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = int(member.mtime)
    return member


def _check_packed(target: Path, directory: RunDirectory, files: list[Path]) -> None:
    wanted = {
        f"{directory.name}/{path.relative_to(directory.path).as_posix()}": digest_file(path)
        for path in files
        if path.is_file() and not path.is_symlink()
    }
    with tarfile.open(target) as packed:
        found = {member.name: _digest(packed, member) for member in packed if member.isreg()}
    if found != wanted:
        target.unlink()
        raise IntegrityError(
            f"{target} does not hold what the run holds, and was removed",
            code="runs.packed",
            got=", ".join(
                sorted({name for name in {*found, *wanted} if found.get(name) != wanted.get(name)})[:5]
            ),
            next_step="see that no process works on the run, and that the disk is sound",
        )


def _digest(packed: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = packed.extractfile(member)
    assert stream is not None
    sha = hashlib.sha256()
    while piece := stream.read(_BLOCK):
        sha.update(piece)
    return sha.hexdigest()


def remove_run(directory: RunDirectory) -> None:
    """Remove a run whole; the caller holds its lock. What a kill leaves of it is no run any more."""
    with writing(directory.path):
        directory.manifest.unlink(missing_ok=True)
        shutil.rmtree(directory.path)
        fsync_path(directory.path.parent)


def removable(home: Home, *, older_than: float) -> list[Removable]:
    """Runs moved aside, and runs without a first step, at least *older_than* days old; by name.

    None that a process works on, and none that another run goes on from: that names it as its parent, also by
    the name that it had before it was moved aside, or whose base has its weights.
    """
    rows = list_summaries(home)
    return [
        found
        for row in rows
        if not any(_needs(other, row) for other in rows if other is not row)
        for found in _removable(RunDirectory(home.runs / row["run"]), row)
        if found.age >= older_than
    ]


def still_removable(home: Home, run: str, *, older_than: float) -> bool:
    """Whether a run that `removable` named still is so, for who holds its lock now."""
    directory = RunDirectory(home.runs / run)
    rows = {row["run"]: row for row in list_summaries(home)}
    row = {**rows[run], "state": "unfinished"} if rows[run]["state"] == "running" else rows[run]
    found = _removable(directory, row, held=True)
    return any(one.age >= older_than for one in found)


def _needs(other: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether *other* goes on from the run of *row*."""
    name = original_name(row["run"])
    return name in other["parents"] or (row["weights_sha256"] or "none") == other["base_weights"]


def _removable(directory: RunDirectory, row: dict[str, Any], *, held: bool = False) -> Iterator[Removable]:
    if _ARCHIVED.search(directory.name):
        reason = "moved aside"
    elif row["state"] == "unfinished" and not row["step"] and not directory.journal.exists():
        reason = "without a first step"
    else:
        return
    if not held and directory.busy():
        return
    files = [path.lstat() for path in directory.path.rglob("*") if not path.is_dir()]
    newest = max((stat.st_mtime for stat in files), default=time.time())
    size = sum(stat.st_size for stat in files)
    yield Removable(directory.name, reason, max(0.0, time.time() - newest) / 86400, size)
