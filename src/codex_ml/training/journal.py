"""journal.jsonl: one line per optimizer step, each bound to the line before by its sha256."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from codex_ml.core.digest import canonical_json
from codex_ml.core.ndjson import last_line
from codex_ml.core.publish import fsync_path, writing
from codex_ml.errors import IntegrityError


class Journal:
    """Appends lines; on opening it cuts what lies beyond the loaded step.

    *length* and *head* come from the checkpoint, so opening costs the same at any step. Raises
    IntegrityError, before anything is cut, when the file is not the one that the checkpoint continues.
    """

    def __init__(self, path: Path, *, length: int, head: str) -> None:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            size = path.stat().st_size if path.exists() else 0
        found = _head_at(path, length) if 0 < length <= size else ""
        if size < length or found != head:
            raise IntegrityError(
                f"{path} is not the journal that the checkpoint continues",
                code="journal.chain",
                got=found[:12] or f"{size} bytes",
                wanted=f"{head[:12]} at byte {length}" if head else "an empty journal",
                next_step="restore the file, or start again with --fresh",
            )
        self._path = path
        with writing(path):
            self._stream = path.open("a", encoding="utf-8")
            self._stream.truncate(length)
        self.head, self.length = head, length

    def append(self, *, step: int, samples: str, loss: float, grad_norm: float, skipped: bool) -> None:
        """Add one step; floats as hex, so that equal text means equal bits."""
        record = {
            "step": step,
            "samples": samples,
            "loss": loss.hex(),
            "grad_norm": grad_norm.hex(),
            "skipped": skipped,
            "previous": self.head,
        }
        line = canonical_json(record)
        with writing(self._path):
            self._stream.write(line + "\n")
            self._stream.flush()
        self.head = hashlib.sha256(line.encode()).hexdigest()
        self.length += len(line.encode()) + 1

    def sync(self) -> None:
        """Flush to the disk; called before a checkpoint that continues these lines."""
        with writing(self._path):
            os.fsync(self._stream.fileno())
            fsync_path(self._path.parent)  # the file's own name, in a run that is new

    def close(self) -> None:
        """Close; what could not be written was told when it was appended."""
        with suppress(OSError):
            self._stream.close()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole line, its chain checked. Raises IntegrityError at the first line that breaks it.

    A last line without its end is what a kill left; a resume cuts it.
    """
    previous, step = "", 0
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if not raw.endswith(b"\n"):
                return
            record = _parse(raw, f"{path}:{number}")
            if record["previous"] != previous or record["step"] != step + 1:
                raise IntegrityError(
                    f"{path}:{number} does not continue the line before", code="journal.chain"
                )
            previous, step = hashlib.sha256(raw[:-1]).hexdigest(), step + 1
            yield record


def journal_heads(path: Path) -> dict[int, tuple[str, int]]:
    """Step -> (sha256 of its line, bytes up to its end), the whole chain checked."""
    heads: dict[int, tuple[str, int]] = {}
    length = 0
    with path.open("rb") as stream:
        for record, line in zip(read_journal(path), stream, strict=False):
            length += len(line)
            heads[record["step"]] = hashlib.sha256(line[:-1]).hexdigest(), length
    return heads


def _head_at(path: Path, length: int) -> str:
    """sha256 of the line that ends at byte *length*, or "" where none does."""
    line = last_line(path, length)
    return hashlib.sha256(line[:-1]).hexdigest() if line.endswith(b"\n") else ""


def _parse(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise IntegrityError(f"{place} is no line of a journal", code="journal.chain", got=error) from error
    if not isinstance(record, dict) or not {"step", "previous"} <= set(record):
        raise IntegrityError(f"{place} is no line of a journal", code="journal.chain")
    return record
