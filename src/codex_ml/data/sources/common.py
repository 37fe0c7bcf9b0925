"""What the sources share: the given path, groups of files, and reading one file safely."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from codex_ml.config.schema.data import DataConfig
from codex_ml.core.digest import digest_bytes
from codex_ml.core.languages import BY_NAME, BY_SUFFIX
from codex_ml.data.document import Document, Dropped, InputFile, settle
from codex_ml.errors import DataError

_CHUNK = 1 << 20
_PROBE = 8192


def given_path(cfg: DataConfig) -> Path:
    """The path of the config, ``~`` expanded. Raises DataError when it is absent."""
    if cfg.path is None:
        raise DataError(
            f"data.source={cfg.source} needs a path",
            code="data.path",
            next_step="set data.path to a file or folder",
        )
    path = Path(os.path.expanduser(cfg.path))  # noqa: PTH111 - leaves an unknown user's ~ as it is
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(
            "data.path is neither a file nor a folder",
            code="data.path",
            got=path,
            next_step="set data.path to a file or folder",
        )
    if not path.exists():
        raise DataError(
            "data.path does not exist",
            code="data.path",
            got=path,
            next_step="check the spelling; a relative path starts at the current directory",
        )
    return path


def nothing_found(cfg: DataConfig, where: object) -> DataError:
    return DataError(
        f"data.source={cfg.source} found nothing to read",
        code="data.empty",
        got=where,
        next_step="check data.path, data.include and data.exclude",
    )


def wanted_globs(cfg: DataConfig) -> tuple[str, ...]:
    """The globs of files to take; every known code file when the config names none."""
    if cfg.include:
        return cfg.include
    return tuple(f"*{suffix}" for suffix in BY_SUFFIX) + tuple(name.capitalize() for name in BY_NAME)


def group_of(relative: str, *, depth: int) -> str:
    """The group of a file: its first *depth* path parts, a file's own part without its suffix."""
    parts = PurePosixPath(relative).parts
    group = PurePosixPath(*parts[:depth])
    return str(group.with_suffix("") if len(parts) <= depth else group)


def posix_name(path: str) -> str:
    """A file name as text, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def unreadable(path: object, error: OSError) -> DataError:
    return DataError(
        f"cannot read {path}",
        code="data.unreadable",
        got=error.strerror or str(error),
        next_step="check its permissions, or set data.on_error=skip to leave such files out",
    )


def changed(path: object) -> DataError:
    return DataError(
        f"{path} changed while it was read",
        code="data.changed",
        next_step="run the same command again when nothing writes there",
    )


def hash_input(path: Path, *, name: str, skip: bool) -> InputFile:
    """Size and digest of one input. Raises DataError when it cannot be read, unless *skip*."""
    sha, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                sha.update(piece)
                size += len(piece)
    except OSError as error:
        settle(unreadable(path, error), skip=skip, id=name, path=name)
        return InputFile(path=name, size=0, sha256="")
    return InputFile(path=name, size=size, sha256=sha.hexdigest())


def read_document(path: Path, *, item: InputFile, cfg: DataConfig) -> Document | Dropped:
    """One file as a document. Raises DataError as ``data.on_error`` says."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        return settle(unreadable(path, error), skip=cfg.on_error == "skip", id=item.path, path=item.path)
    if digest_bytes(raw) != item.sha256:
        raise changed(path)
    return as_document(raw, name=item.path, cfg=cfg)


def as_document(raw: bytes, *, name: str, cfg: DataConfig) -> Document | Dropped:
    """Bytes of a file as a document; binary content is left out, bad UTF-8 is an error."""
    if b"\0" in raw[:_PROBE]:
        return Dropped(name, name, len(raw), "data.binary", "a NUL byte near its start")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = DataError(
            f"{name} is not valid UTF-8",
            code="data.encoding",
            got=f"byte 0x{raw[error.start]:02x} at offset {error.start}",
            next_step="convert the file, or set data.on_error=skip to leave such files out",
        )
        return settle(problem, skip=cfg.on_error == "skip", id=name, path=name, size=len(raw))
    return Document(id=name, group=group_of(name, depth=cfg.group_depth), path=name, raw=raw)
