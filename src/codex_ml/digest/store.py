"""The error store: ``.codex/errors.ndjson``, lines that are only appended, merged when they are read.

A line is ``{ts, step, error, context, fingerprint, status, occurrences, resolution}``: a failure that was
seen (occurrences > 0), or a change of its status (occurrences 0). One seen again after it was resolved is
open again. The spellings of older tools (``ts, step, err, ctx`` and ``error, context``) are read, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codex_ml.core.ndjson import NdjsonAppender, parse_line
from codex_ml.core.publish import exclusive, make_directory, write_file, writing
from codex_ml.core.redact import redact_value
from codex_ml.digest.fingerprint import fingerprint
from codex_ml.errors import DataError, IntegrityError, StorageError, did_you_mean

NAME = "errors.ndjson"
_ERROR = ("error", "err")  # the key of what went wrong, and its older spelling
OPEN, RESOLVED = "Open", "Resolved"
#: Compacted when it has this many bytes and twice as many lines as entries.
_LARGE = 1 << 20
#: Inputs that an entry remembers, so that each counts once.
_MOST_SOURCES = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """One failure with everything that was noted of it."""

    ts: str | None  # when it was seen last, UTC
    step: str
    error: str
    context: str
    fingerprint: str
    status: str = OPEN
    occurrences: int = 1
    resolution: str | None = None
    detail: str | None = None  # a traceback, where there is one
    source: str | None = None  # sha256 of the input it was last read from
    sources: tuple[str, ...] = ()  # of all of them, where they are several; the last that there is room for

    def record(self) -> dict[str, Any]:
        """The line that stands for it."""
        record = {name: getattr(self, name) for name in self.__slots__}
        record["sources"] = list(self.sources) if len(self.sources) > 1 else None
        optional = ("detail", "source", "sources")
        return {key: value for key, value in record.items() if value is not None or key not in optional}


class ErrorStore:
    """The store at *path*. Safe for several processes; a reader needs no lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, records: Iterable[Mapping[str, Any]]) -> list[Entry]:
        """Append failures, redacted. Returns them as they were written. Raises StorageError."""
        entries = [_entry(record) for record in records]
        self._append(entry.record() for entry in entries)
        return entries

    def add_from(self, source: str, records: Iterable[Mapping[str, Any]]) -> list[Entry]:
        """The same for an input of this sha256, which counts once however often it is read."""
        known = self._read()[0]
        seen = {key for key, entry in known.items() if source in entry.sources}
        fresh = [{**record, "source": source} for record in records if record["fingerprint"] not in seen]
        return self.add(fresh) if fresh else []

    def entries(self) -> list[Entry]:
        """Every failure once, in the order in which they were first seen."""
        return list(self._read()[0].values())

    def unreadable(self) -> list[str]:
        """The lines that are no records, each with its place and the reason."""
        return self._read()[1]

    def find(self, name: str) -> Entry:
        """The entry whose fingerprint begins with *name*. Raises DataError when that is none, or several."""
        entries = self._read()[0]
        found = [entry for key, entry in entries.items() if name and key.startswith(name.lower())]
        if len(found) == 1:
            return found[0]
        raise DataError(
            f"no error '{name}' in {self.path}"
            if not found
            else f"'{name}' begins {len(found)} fingerprints",
            code="errors.id",
            got=None if not found else ", ".join(entry.fingerprint for entry in found[:8]),
            wanted="the first characters of one fingerprint",
            next_step="see `codex-ml errors ls`" if not entries or found else did_you_mean(name, entries),
        )

    def resolve(self, name: str, *, reason: str, ts: str | None) -> Entry:
        """Note that an error is resolved, and how. Raises DataError, StorageError."""
        entry = self.find(name)
        changed = _entry(
            {**entry.record(), "status": RESOLVED, "resolution": reason, "occurrences": 0, "ts": ts}
        )
        self._append([changed.record()])
        return self.find(entry.fingerprint)

    def _append(self, records: Iterable[Mapping[str, Any]]) -> None:
        with writing(self.path):
            make_directory(self.path.parent)
            with exclusive(self.path.with_name(f".{self.path.name}.lock")):
                stream = NdjsonAppender(self.path)
                try:
                    stream.write(*map(dict, records))
                    stream.sync()
                finally:
                    stream.close()
                if self.path.stat().st_size >= _LARGE:
                    self._compact()

    def _compact(self) -> None:
        """Replace the file by one line for each entry, at once; a file with damaged lines stays as it is."""
        entries, damaged = self._read()
        if damaged or 2 * len(entries) > self.path.read_bytes().count(b"\n"):
            return
        lines = [
            json.dumps(entry.record(), ensure_ascii=False, separators=(",", ":"))
            for entry in entries.values()
        ]
        write_file(self.path, "".join(f"{line}\n" for line in lines))

    def _read(self) -> tuple[dict[str, Entry], list[str]]:
        entries: dict[str, Entry] = {}
        damaged: list[str] = []
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return entries, damaged
        except OSError as error:
            raise _unreadable(error, self.path) from error
        with stream:
            for number, line in enumerate(stream, 1):
                if not line.strip() or not line.endswith(b"\n"):
                    continue  # a line that a kill left unfinished is cut when the next is written
                place = f"{self.path}:{number}"
                try:
                    record = parse_line(line, place)
                except IntegrityError as error:
                    damaged.append(error.what)
                    continue
                if all(record.get(name) is None for name in _ERROR):
                    damaged.append(f"{place} tells of no error")
                    continue
                entry = _entry(record)
                entries[entry.fingerprint] = _merged(entries.get(entry.fingerprint), entry)
        return entries, damaged


def _unreadable(error: OSError, path: Path) -> StorageError:
    return StorageError(
        f"the error store {path} cannot be read",
        code="errors.store",
        got=error.strerror or str(error),
        wanted="a file of records, one a line",
        next_step="give the file with --store, such as .codex/errors.ndjson",
    )


def _merged(before: Entry | None, new: Entry) -> Entry:
    if before is None:
        return new
    total = before.occurrences + new.occurrences
    if new.occurrences == 0:  # only the status changes; when it was seen last stays
        return replace(before, status=new.status, resolution=new.resolution)
    resolution = new.resolution or before.resolution
    detail, source = new.detail or before.detail, new.source or before.source
    sources = tuple(dict.fromkeys((*before.sources, *new.sources)))[-_MOST_SOURCES:]
    new = replace(new, occurrences=total, resolution=resolution, detail=detail)
    return replace(new, source=source, sources=sources)


def _entry(record: Mapping[str, Any]) -> Entry:
    """The entry of a line in any spelling, redacted; what is missing is filled in."""
    clean = redact_value(dict(record))

    def text(*names: str) -> str:
        found = next((clean[name] for name in names if clean.get(name) is not None), "")
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, sort_keys=True)

    error, step = text(*_ERROR), text("step")
    occurrences = clean.get("occurrences", 1)
    source, listed = text("source") or None, clean.get("sources")
    sources = tuple(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else ()
    counted = isinstance(occurrences, int) and not isinstance(occurrences, bool) and occurrences >= 0
    return Entry(
        ts=text("ts") or None,
        step=step,
        error=error,
        context=text("context", "ctx"),
        fingerprint=text("fingerprint") or fingerprint(error, step=re.sub(r"^\d+:", "", step)),
        status=RESOLVED if text("status").lower().startswith("resolved") else OPEN,
        occurrences=occurrences if counted else 1,
        resolution=text("resolution") or None,
        detail=text("detail") or None,
        source=source,
        sources=(sources or ((source,) if source else ()))[-_MOST_SOURCES:],
    )
