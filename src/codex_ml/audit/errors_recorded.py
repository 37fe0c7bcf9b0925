"""Errors that the audited tree recorded itself: ``.codex/errors.ndjson`` and ``errors_codex.log``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.tree import shown
from codex_ml.core.redact import redact_text

_MANY = 20
_TEXT = 600
_LARGEST = 5_000_000


def recorded_errors(audit: Audit) -> list[dict[str, Any]]:
    """The newest ones, with their context and status. Nothing of it is run, and secrets are taken out."""
    found: list[dict[str, Any]] = []
    places = (audit.tree.root / ".codex" / "errors.ndjson", audit.tree.root / "errors_codex.log")
    for place, read in zip(places, (_ndjson, _log), strict=True):
        if place.is_file() and not place.is_symlink() and place.stat().st_size <= _LARGEST:
            text = place.read_text(encoding="utf-8", errors="replace")
            name = place.relative_to(audit.tree.root).as_posix()
            found += [{"source": name, **one} for one in read(text)]
    return found[-_MANY:]


def _ndjson(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield {
                "step": _clean(row.get("step", "")),
                "error": _clean(row.get("error", row.get("err", ""))),
                "context": _clean(row.get("context", row.get("ctx", ""))),
                "status": str(row.get("status", "Unresolved")),
                "timestamp": str(row.get("ts", "")),
            }


def _log(text: str) -> Iterator[dict[str, Any]]:
    """Blank-line separated entries; ``Context:`` and ``Status:`` lines belong to the error above them."""
    for block in text.split("\n\n"):
        lines = [line for line in block.strip().splitlines() if line.strip()]
        if not lines:
            continue
        tagged = {
            name: next((line[len(name) + 1 :].strip() for line in lines if line.startswith(f"{name}:")), "")
            for name in ("Context", "Status")
        }
        error = [line for line in lines if not line.startswith(("Context:", "Status:"))]
        yield {
            "step": "",
            "error": _clean("\n".join(error)),
            "context": _clean(tagged["Context"]),
            "status": tagged["Status"] or "Unresolved",
            "timestamp": "",
        }


def _clean(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "\n".join(shown(line) for line in redact_text(text[:_TEXT]).splitlines())
