"""Durable atomic publish: a reader sees the old thing or the whole new thing, also after a power cut.

The order is PostgreSQL's ``durable_rename``: fsync the files, write and fsync the manifest last,
fsync the directory, rename, fsync the parent.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from codex_ml.core.digest import canonical_json, digest_file, digest_json
from codex_ml.errors import CodexError, IntegrityError, StorageError

MANIFEST = "MANIFEST.json"
_STAGE = ".tmp-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fsync_path(path: Path) -> None:
    """Flush a file or directory to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Create a directory with its parents, so that a power cut does not take a new one away again."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        fsync_path(folder.parent)


def storage_error(error: OSError, path: Path) -> StorageError:
    """Say in one line why *path* could not be written."""
    if error.errno in _FULL:
        return StorageError(
            f"no space left to write {path}",
            code="storage.full",
            got=error.strerror,
            next_step="free disk space (see `codex-ml store ls`) and run the same command again",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(
            f"no permission to write {path}",
            code="storage.permission",
            got=error.strerror,
            next_step="choose a place that you may write to; runs and the store lie in CODEX_HOME",
        )
    return StorageError(
        f"cannot write {path}",
        code="storage.write",
        got=error.strerror or str(error),
        next_step="check the file system and run the same command again",
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a StorageError that names *path*."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def write_file(path: Path, data: bytes | str) -> None:
    """Replace one small file atomically and durably.

    Raises StorageError.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    temporary = path.with_name(f"{_STAGE}{path.name}-{uuid.uuid4().hex[:8]}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                stream.write(raw)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        fsync_path(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace one JSON file atomically; canonical keys, indented for people."""
    canonical_json(value)  # refuses NaN and foreign types before anything is written
    write_file(path, json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file. Raises IntegrityError when it is no JSON, FileNotFoundError when absent."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:  # of JSON, of UTF-8, or a number that JSON does not have
        raise IntegrityError(
            f"{path} is not valid JSON",
            code="integrity.json",
            got=str(error),
            next_step="restore the file, or move it away to rebuild it",
        ) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def seal(directory: Path, meta: dict[str, Any]) -> dict[str, Any]:
    """Write the manifest of everything in *directory*, flushing every file first.

    The manifest is ``{**meta, "files": {relative path: {"size", "sha256"}}, "manifest_sha256": …}``, the
    last over the rest of it, and comes last: where it exists, the directory is complete.
    """
    files: dict[str, dict[str, Any]] = {}
    directories = {directory}
    for path in sorted(directory.rglob("*")):
        if path.is_dir():
            directories.add(path)
            continue
        if path.name == MANIFEST and path.parent == directory:
            continue
        fsync_path(path)
        relative = path.relative_to(directory).as_posix()
        files[relative] = {"size": path.stat().st_size, "sha256": digest_file(path)}
    manifest = {**meta, "files": files}
    manifest["manifest_sha256"] = digest_json(manifest)
    write_json(directory / MANIFEST, manifest)
    for folder in directories:
        fsync_path(folder)
    return manifest


@contextmanager
def _naming_others(*own: Path) -> Iterator[None]:
    """Turn an OSError about a file outside the paths *own* into a StorageError that names that file."""
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, str | bytes):
            raise
        file = Path(os.fsdecode(error.filename))
        if any(file.resolve().is_relative_to(path.resolve()) for path in own):
            raise
        if error.errno in (*_FULL, errno.EROFS):  # only a write is refused so
            raise storage_error(error, file) from error
        raise StorageError(
            f"cannot read {file}",
            code="storage.read",
            got=error.strerror or str(error),
            next_step="check that it exists and may be read, and run the same command again",
        ) from error


@contextmanager
def staged(target: Path, *, meta: dict[str, Any]) -> Iterator[Path]:
    """Build a directory beside *target* and publish it whole.

    Yields the staging directory. What the caller adds to *meta* inside the block goes into the
    manifest. When the block raises, nothing of it stays. Raises StorageError on disk trouble and
    when *target* exists already; for a file elsewhere that the block could not read, it names that file.
    """
    stage = target.parent / f"{_STAGE}{target.name}-{uuid.uuid4().hex[:8]}"
    with writing(target):
        stage.mkdir(parents=True)
        try:
            with _naming_others(stage, target):
                yield stage
            seal(stage, meta)
            if target.exists():
                raise FileExistsError(errno.EEXIST, "already exists", str(target))
            os.rename(stage, target)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        fsync_path(target.parent)


def verify_directory(directory: Path) -> dict[str, Any]:
    """Check every file of a sealed directory against its manifest and return the manifest.

    Raises IntegrityError naming the first file that is missing, extra or different; the manifest
    itself is checked against its own digest.
    """
    manifest = _read_manifest(directory)
    listed = manifest["files"]
    present = {
        p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_symlink() or not p.is_dir()
    }
    for name in sorted(present - set(listed) - {MANIFEST}):
        raise _damaged(directory, f"{name} is not in the manifest")
    for name, row in sorted(listed.items()):
        file = directory / name
        if Path(name).is_absolute() or ".." in Path(name).parts or file.is_symlink():
            raise _damaged(directory, f"{name} leaves the directory")
        if name not in present:
            raise _damaged(directory, f"{name} is missing")
        if file.stat().st_size != row["size"]:
            raise _damaged(directory, f"{name} has {file.stat().st_size} bytes, not {row['size']}")
        if digest_file(file) != row["sha256"]:
            raise _damaged(directory, f"{name} has other bytes than its sha256 {row['sha256'][:12]}")
    return manifest


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.is_file():
        raise _damaged(directory, f"{MANIFEST} is missing")
    manifest = read_json(path)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(
        isinstance(row, dict) and {"size", "sha256"} <= set(row) for row in files.values()
    ):
        raise _damaged(directory, f"{MANIFEST} lists no files")
    if digest_json({k: v for k, v in manifest.items() if k != "manifest_sha256"}) != manifest.get(
        "manifest_sha256"
    ):
        raise _damaged(directory, f"{MANIFEST} has other content than its own digest")
    return dict(manifest)


def _damaged(directory: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"{directory} is damaged: {reason}",
        code="integrity.damaged",
        next_step="move it away; the same command rebuilds what it can",
    )


@contextmanager
def exclusive(path: Path, *, taken: CodexError | None = None, patience: float = 0.0) -> Iterator[None]:
    """Hold an exclusive lock on the lock file *path*.

    Waits for another holder, or with *taken* for at most *patience* seconds, and raises that error. The
    kernel drops the lock with the process, so a kill leaves no stale lock.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a")
    with stream:
        if taken is None:
            fcntl.flock(stream, fcntl.LOCK_EX)
        else:
            _lock_within(stream, patience, taken)
        yield


def _lock_within(stream: IO[str], patience: float, taken: CodexError) -> None:
    last = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= last:
                raise taken from None
            time.sleep(0.01)
        else:
            return
