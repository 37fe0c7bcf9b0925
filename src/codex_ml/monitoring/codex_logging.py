"""The log: levels, text for people or NDJSON, a file that rotates, and no secret in any of them."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from codex_ml.core.workers import worker_rank
from codex_ml.errors import UsageError

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "ndjson")
#: What every record of the standard library has; the rest was given by the caller as ``extra``.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MARK = "_codex_log"
#: Libraries whose ``debug`` is about themselves: a line for each font that is looked at.
_TALKATIVE = ("matplotlib", "PIL", "fontTools", "asyncio", "urllib3", "filelock", "fsspec")


class Stream(Protocol):
    """Where text goes for people to read."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


@dataclass(frozen=True)
class LogSettings:
    """How to log. *file* None: on stderr alone. *largest* in bytes."""

    level: str = "warning"
    file_level: str = "info"
    form: str = "text"
    file: Path | None = None
    largest: int = 10_000_000
    keep: int = 5

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> LogSettings:
        """What the CODEX_LOG… variables say. Raises UsageError for a value that is none of theirs."""
        level = _one_of("CODEX_LOG", environ.get("CODEX_LOG", "warning").lower(), LEVELS)
        file = environ.get("CODEX_LOG_FILE")
        return cls(
            level=level,
            file_level=level if "CODEX_LOG" in environ else "info",
            form=_one_of("CODEX_LOG_FORMAT", environ.get("CODEX_LOG_FORMAT", "text").lower(), FORMATS),
            file=Path(file).expanduser() if file else None,
            largest=_number("CODEX_LOG_BYTES", environ.get("CODEX_LOG_BYTES", "10000000"), least=1000),
            keep=_number("CODEX_LOG_KEEP", environ.get("CODEX_LOG_KEEP", "5"), least=0),
        )


def setup_logging(settings: LogSettings, *, stream: Stream) -> None:
    """Log to *stream*, and to the file where one is set; called again, the new settings count.

    Raises UsageError when the file cannot be written.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if getattr(handler, _MARK, False)]:
        root.removeHandler(handler)
        handler.close()
    console: logging.StreamHandler[Stream] = logging.StreamHandler(stream)
    console.setFormatter(NdjsonFormatter() if settings.form == "ndjson" else PlainFormatter())
    console.setLevel(settings.level.upper())
    handlers: list[logging.Handler] = [console]
    if settings.file is not None:
        handlers.append(_file_handler(settings))
    for handler in handlers:
        setattr(handler, _MARK, True)
        root.addHandler(handler)
    lowest = min(handler.level for handler in handlers)
    root.setLevel(lowest)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(lowest, logging.INFO))


class PlainFormatter(logging.Formatter):
    """``WARNING: text``, as people read it; redacted, an exception's text too."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return _redacted(super().format(record))


class NdjsonFormatter(logging.Formatter):
    """One JSON object for each record: ts, level, logger, message, what ``extra`` gave, exception."""

    def format(self, record: logging.LogRecord) -> str:
        from codex_ml.core.redact import redact_value

        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        row = {
            "ts": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            **extra,
        }
        if record.exc_info:
            row["exception"] = self.formatException(record.exc_info)
        return json.dumps(redact_value(row), ensure_ascii=False, default=lambda value: _redacted(repr(value)))


class LogFile(logging.Handler):
    """Appends lines to a file that several processes may share; at *largest* bytes it is moved aside.

    ``x.log`` becomes ``x.log.1``, that ``x.log.2``, and so on up to *keep*. Every file begins with a
    record of the code that wrote it. After an error nothing more is written, and that is said once.
    """

    def __init__(self, path: Path, *, largest: int, keep: int) -> None:
        super().__init__()
        self._path, self._largest, self._keep = path, largest, keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = self._open()

    def emit(self, record: logging.LogRecord) -> None:
        if self._fd < 0:
            return
        try:
            self._append((self.format(record) + "\n").encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._give_up(error)
        except Exception:  # noqa: BLE001 - a record whose text cannot be made; the library's own way to say so
            self.handleError(record)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        super().close()

    def _open(self) -> int:
        """The file, with its first record."""
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_size == 0:
            os.write(fd, (json.dumps(_first_record(), ensure_ascii=False) + "\n").encode())
        fcntl.flock(fd, fcntl.LOCK_UN)
        return fd

    def _append(self, line: bytes) -> None:
        self._follow()
        if os.fstat(self._fd).st_size + len(line) > self._largest:
            self._rotate()
        os.write(self._fd, line)

    def _follow(self) -> None:
        """Another process may have moved the file aside."""
        if not self._is_current():
            os.close(self._fd)
            self._fd = self._open()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))  # noqa: PTH116 - beside fstat
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            if self._is_current():
                for number in range(self._keep, 0, -1):
                    source = self._aside(number - 1)
                    if source.exists():
                        os.replace(source, self._aside(number))
                if not self._keep:
                    self._path.unlink()
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        self._follow()

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _give_up(self, error: OSError) -> None:
        os.close(self._fd)
        self._fd = -1
        logging.getLogger(__name__).warning("the log file is given up: %s", error)


def _file_handler(settings: LogSettings) -> LogFile:
    assert settings.file is not None
    rank = worker_rank()
    path = settings.file.with_name(f"{settings.file.name}.rank{rank}") if rank else settings.file
    try:
        handler = LogFile(path, largest=settings.largest, keep=settings.keep)
    except OSError as error:
        raise UsageError(
            "CODEX_LOG_FILE cannot be written",
            code="config.log-file",
            got=f"{path}: {error.strerror}",
            next_step="name a file that you may write to, or unset it",
        ) from error
    handler.setFormatter(NdjsonFormatter())
    handler.setLevel(settings.file_level.upper())
    return handler


def _first_record() -> dict[str, object]:
    """Which code writes: version and source digest of the package, commit of the working directory."""
    import codex_ml
    from codex_ml.core.digest import digest_tree

    facts = {
        "version": codex_ml.__version__,
        "code_sha256": digest_tree(Path(codex_ml.__file__).parent),
        "commit": head_commit(Path.cwd()),
    }
    row = {"ts": time.time(), "level": "info", "logger": __name__, "message": "start", "process": os.getpid()}
    return {**row, "facts": {name: value for name, value in facts.items() if value}}


def head_commit(directory: Path) -> str | None:
    """The commit that git's own files name for *directory*; None outside a repository. Starts no process."""
    top = next((folder for folder in (directory, *directory.parents) if (folder / ".git").exists()), None)
    try:
        found = _commit_in(top / ".git") if top is not None else None
    except (OSError, ValueError):  # bad text is one, too
        return None
    return found if found and re.fullmatch(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", found) else None


def _commit_in(place: Path) -> str | None:
    """What HEAD means; in a worktree or a submodule *place* is a file that says where git's own files are."""
    if place.is_file():
        place = place.parent / place.read_text(encoding="utf-8").removeprefix("gitdir: ").rstrip("\r\n")
    head = (place / "HEAD").read_text(encoding="ascii").strip()
    if not head.startswith("ref: "):
        return head
    name, common = head.removeprefix("ref: "), place
    if (place / "commondir").is_file():  # a worktree shares the branches
        common = place / (place / "commondir").read_text(encoding="utf-8").rstrip("\r\n")
    for loose in (place / name, common / name):
        if loose.is_file():
            return loose.read_text(encoding="ascii").strip()
    packed = (common / "packed-refs").read_text(encoding="utf-8").splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)


def _redacted(text: str) -> str:
    from codex_ml.core.redact import redact_text  # its patterns cost time, and most calls log nothing

    return redact_text(text)


def _one_of(name: str, value: str, words: tuple[str, ...]) -> str:
    if value not in words:
        what = "no log level" if words is LEVELS else "no form of a log"
        wanted = f"{', '.join(words[:-1])} or {words[-1]}"
        raise UsageError(
            f"{name} is {what}",
            code="config.log",
            got=value,
            wanted=wanted,
            next_step="set it so, or unset it",
        )
    return value


def _number(name: str, text: str, *, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise UsageError(
            f"{name} is no number of its kind",
            code="config.log",
            got=text,
            wanted=f"a whole number >= {least}",
            next_step="set it so, or unset it",
        )
    return int(text)
