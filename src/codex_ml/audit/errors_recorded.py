"""Errors that the audited tree recorded itself: ``.codex/errors.ndjson`` and ``errors_codex.log``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.tree import shown
from codex_ml.core.redact import redact_text

_MANY = 20
_TEXT = 600
#: Of a larger file, the end is read.
_LARGEST = 5_000_000


def recorded_errors(audit: Audit) -> list[dict[str, Any]]:
    """The newest ones, with their context and status, and how many are not shown.

    Nothing of it is run, links are not followed, and secrets are taken out.
    """
    found: list[dict[str, Any]] = []
    for name, read in ((".codex/errors.ndjson", _ndjson), ("errors_codex.log", _log)):
        text = _end_of(audit.tree.root / name)
        rows, damaged = read(text or "")
        found += [{"source": name, **one} for one in rows[-_MANY:]]
        left = [(len(rows) - _MANY, "older errors are not shown"), (damaged, "lines are damaged")]
        said = [f"{count} {what}" for count, what in left if count > 0]
        if text is None and (audit.tree.root / name).is_symlink():
            said.append("a symbolic link, not followed")
        if said:
            found.append(_note(name, "; ".join(said)))
    return found


def _note(name: str, said: str) -> dict[str, Any]:
    return {"source": name, "step": "", "error": f"({said})", "context": "", "status": "", "timestamp": ""}


def _end_of(place: Path) -> str | None:
    """The text of a regular file that no link leads to, its end when it is large."""
    if place.is_symlink() or place.parent.is_symlink() or not place.is_file():
        return None
    with place.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _LARGEST))
        if size > _LARGEST:
            stream.readline()
        return stream.read().decode("utf-8", "replace")


def _ndjson(text: str) -> tuple[list[dict[str, Any]], int]:
    """Errors, each as its last line has it; how many lines are none."""
    found: dict[str, dict[str, Any]] = {}
    damaged = 0
    for number, line in enumerate(text.splitlines()):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or not (row.get("error") or row.get("err")):
            damaged += bool(line.strip())
            continue
        key = row.get("fingerprint")
        found[key if isinstance(key, str) else f"line {number}"] = {
            "step": _clean(row.get("step", "")),
            "error": _clean(row.get("error", row.get("err", ""))),
            "context": _clean(row.get("context", row.get("ctx", ""))),
            "status": _status(row),
            "timestamp": _clean(row.get("ts", "")),
        }
    return list(found.values()), damaged


def _status(row: dict[str, Any]) -> str:
    """``Resolved: how``, where it is said how."""
    status, how = _clean(row.get("status", "Unresolved")), row.get("resolution")
    return f"{status}: {_clean(how)}" if how else status


def _log(text: str) -> tuple[list[dict[str, Any]], int]:
    """Blank-line separated entries; ``Context:`` and ``Status:`` lines belong to the error above them."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.strip().splitlines() if line.strip()]
        if not lines:
            continue
        tagged = {
            name: next((line[len(name) + 1 :].strip() for line in lines if line.startswith(f"{name}:")), "")
            for name in ("Context", "Status")
        }
        error = [line for line in lines if not line.startswith(("Context:", "Status:"))]
        found.append(
            {
                "step": "",
                "error": _clean("\n".join(error)),
                "context": _clean(tagged["Context"]),
                "status": _clean(tagged["Status"]) or "Unresolved",
                "timestamp": "",
            }
        )
    return found, 0


def _clean(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "\n".join(shown(line) for line in redact_text(text[:_TEXT]).splitlines())
