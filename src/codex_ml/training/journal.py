"""journal.jsonl: one line per optimizer step, each bound to the line before by its sha256."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codex_ml.core.digest import canonical_json
from codex_ml.core.ndjson import repair
from codex_ml.core.publish import writing
from codex_ml.errors import IntegrityError


class Journal:
    """Appends lines; on opening it cuts a torn line and everything beyond the loaded step."""

    def __init__(self, path: Path, *, resume_step: int, head: str) -> None:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            repair(path)
        length, found = _up_to(path, resume_step)
        if found != head:  # before anything is cut: a foreign journal stays whole
            raise IntegrityError(
                f"{path} is not the journal that the checkpoint continues",
                code="journal.chain",
                got=found[:12] or "an empty journal",
                wanted=head[:12] or "an empty journal",
                next_step="restore the file, or start again with --fresh",
            )
        self._path = path
        with writing(path):
            self._stream = path.open("a", encoding="utf-8")
            self._stream.truncate(length)
        self.head = head

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

    def sync(self) -> None:
        """Flush to the disk; called before a checkpoint that continues these lines."""
        with writing(self._path):
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Every line, its chain checked. Raises IntegrityError at the first line that breaks it."""
    previous = ""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        record = _parse(line, f"{path}:{number}")
        if record["previous"] != previous:
            raise IntegrityError(f"{path}:{number} does not continue the line before", code="journal.chain")
        previous = hashlib.sha256(line).hexdigest()
        yield record


def last_head(path: Path) -> str:
    """sha256 of the last line, or "" for an empty journal."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return hashlib.sha256(lines[-1]).hexdigest() if lines else ""


def _up_to(path: Path, step: int) -> tuple[int, str]:
    """Bytes of the lines up to *step*, and the head there."""
    length, head = 0, ""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    for number, line in enumerate(lines, 1):
        if _parse(line, f"{path}:{number}")["step"] > step:
            break
        length, head = length + len(line), hashlib.sha256(line.rstrip(b"\n")).hexdigest()
    return length, head


def _parse(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise IntegrityError(f"{place} is no line of a journal", code="journal.chain", got=error) from error
    if not isinstance(record, dict) or not {"step", "previous"} <= set(record):
        raise IntegrityError(f"{place} is no line of a journal", code="journal.chain")
    return record
