"""Any input, by its content: a log or a list of tasks; or the report of an audit. To a digest and a plan."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

from codex_ml.core.redact import redact_text
from codex_ml.digest.analyse import Digest, digest_source
from codex_ml.digest.audit_tasks import audit_tasks
from codex_ml.digest.markdown import looks_like_tasks, read_tasks
from codex_ml.digest.plan import Plan, failure_tasks, make_plan
from codex_ml.digest.source import Source
from codex_ml.errors import DataError, UsageError

#: A list of tasks, or a report, is read whole; a log is not.
MOST_BYTES = 1 << 25


@dataclass(frozen=True, slots=True)
class Document:
    """What an input says. *digest* is None for tasks and audits, in which nothing failed."""

    digest: Digest | None
    plan: Plan


def read_document(
    stream: BinaryIO, *, name: str, kind: str | None, date: str | None, allowed: Sequence[str] = ()
) -> Document:
    """Read a log, or a Markdown list of tasks. Raises DataError: a binary file, tasks without an order.

    *allowed*: first words of commands that the user allowed; in a list of tasks they are commands.
    """
    source = Source(stream)
    source.check()
    name = redact_text(name)
    head = source.head.decode("utf-8", "replace")
    if kind == "tasks" or (kind is None and looks_like_tasks(head[:65536]) and not _is_log(head)):
        return _tasks(source, stream, name, date, allowed)
    digest = digest_source(source)
    plan = make_plan(
        failure_tasks(digest),
        title=f"Digest of {name}",
        source=name,
        kind=digest.kind,
        sha256=digest.counted.sha256,
        date=date,
    )
    return Document(digest, plan)


def _is_log(head: str) -> bool:
    """Whether a list stands in a log: outside of fenced blocks, a log has what no list of tasks has."""
    outside = re.sub(r"(?ms)^[ \t]*(```|~~~).*?^[ \t]*\1", "", head)
    return bool(
        re.search(r"(?m)^(?:\S{1,40} )?(?:Traceback \(most recent|=+ test session starts|nox > )", outside)
    )


def _tasks(source: Source, stream: BinaryIO, name: str, date: str | None, allowed: Sequence[str]) -> Document:
    raw = source.head + stream.read(MOST_BYTES + 1 - len(source.head))
    if len(raw) > MOST_BYTES:
        raise DataError(
            f"{name} is too large for a list of tasks",
            code="digest.size",
            got=f"more than {MOST_BYTES} bytes",
            next_step="read it as a log with --kind log, or cut it into several lists",
        )
    tasks = read_tasks(
        raw.decode("utf-8", "replace"), [words for one in allowed if (words := tuple(one.split()))]
    )
    plan = make_plan(
        tasks,
        title=f"Plan of {name}",
        source=name,
        kind="tasks",
        sha256=hashlib.sha256(raw).hexdigest(),
        date=date,
    )
    return Document(None, plan)


def audit_document(path: Path, *, date: str | None, repository: str = ".") -> Document:
    """The plan of what the audit report *path* asks for. Raises DataError."""
    with opened(path) as stream:
        raw = stream.read(MOST_BYTES)
    tasks = audit_tasks(raw.decode("utf-8", "replace"), report=str(path), repository=repository)
    name = redact_text(str(path))
    plan = make_plan(
        tasks,
        title=f"Plan from the audit {name}",
        source=name,
        kind="audit",
        sha256=hashlib.sha256(raw).hexdigest(),
        date=date,
    )
    return Document(None, plan)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file *path*. Raises DataError when it cannot be read."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError(
            f"cannot read {path}",
            code="digest.path",
            got=error.strerror or str(error),
            wanted="a file, or - for stdin",
            next_step="check the path",
        ) from error
    with stream:
        yield stream


def checked_date(given: str | None) -> str | None:
    """*given*, else the day of SOURCE_DATE_EPOCH, else none. Raises UsageError when it is no date."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        if given is not None:
            return date.fromisoformat(given).isoformat()
        return None if not epoch else datetime.fromtimestamp(int(epoch), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            "no date",
            code="digest.date",
            got=given or f"SOURCE_DATE_EPOCH={epoch}",
            wanted="YYYY-MM-DD, or seconds since 1970",
            next_step="give --date 2025-09-05",
        ) from error
