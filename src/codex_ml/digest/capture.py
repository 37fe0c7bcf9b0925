"""Note failures of this program itself in the error store, by the same means as those of a log."""

from __future__ import annotations

import logging
import platform
import traceback
from datetime import UTC, datetime
from pathlib import Path

from codex_ml import __version__
from codex_ml.core.paths import home
from codex_ml.digest.blocks import make_error_block
from codex_ml.digest.failures import clipped
from codex_ml.digest.store import NAME, Entry, ErrorStore
from codex_ml.errors import CodexError

__all__ = ["capture_exception", "default_store", "log_error", "make_error_block"]

_MOST_DETAIL = 8000
_log = logging.getLogger(__name__)


def default_store() -> ErrorStore:
    """``.codex/errors.ndjson`` of the workspace: the working directory, or CODEX_HOME where it is set."""
    return ErrorStore(home().root / ".codex" / NAME)


def now() -> str:
    """The minute of now, ``YYYY-MM-DDTHH:MMZ``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")


def log_error(
    step: str,
    err: str | BaseException,
    ctx: str = "",
    *,
    store: Path | None = None,
    detail: str | None = None,
) -> Entry:
    """Append one failure to the error store (default: `default_store`), redacted. Raises StorageError.

    *step* is what was being done, as ``3:nox -s tests`` or without a number.
    """
    error = f"{type(err).__name__}: {err}" if isinstance(err, BaseException) else err
    place = ErrorStore(store) if store is not None else default_store()
    record = {"ts": now(), "step": step, "error": clipped(error), "context": ctx, "detail": detail}
    return place.add([record])[0]


def capture_exception(error: BaseException, *, step: str) -> Entry | None:
    """Note an exception that nobody expected. None, and one line in the log, when it cannot be written."""
    frames = traceback.extract_tb(error.__traceback__)
    where = (
        f"{_short(frames[-1].filename)}:{frames[-1].lineno} in {frames[-1].name}" if frames else "no frame"
    )
    context = f"codex-ml {__version__}, Python {platform.python_version()}, raised at {where}"
    detail = "".join(traceback.format_exception(error))
    if len(detail) > _MOST_DETAIL:  # whole lines, for half a secret would not be known as one
        detail = detail[-_MOST_DETAIL:].partition("\n")[2]
    try:
        return log_error(step, error, context, detail=detail)
    except (CodexError, OSError) as failed:
        _log.warning("the error was not noted: %s", failed)
        return None


def _short(file: str) -> str:
    """The part of a path below site-packages or src."""
    for part in ("site-packages/", "src/"):
        file = file.rpartition(part)[2]
    return file
