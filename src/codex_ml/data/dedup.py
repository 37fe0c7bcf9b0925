"""Leave out documents whose text was seen before."""

from __future__ import annotations

from codex_ml.data.document import Document, Dropped


class ExactDedup:
    """Remembers the digest of every kept text; the first document in the order of the source stays."""

    def __init__(self) -> None:
        self._first: dict[bytes, str] = {}

    def verdict(self, document: Document, *, sha256: bytes) -> Dropped | None:
        """Why *document* is left out, or None when its text is new."""
        first = self._first.setdefault(sha256, document.id)
        if first == document.id:
            return None
        return Dropped(document.id, document.path, len(document.raw), "dedup.exact", f"same text as {first}")
