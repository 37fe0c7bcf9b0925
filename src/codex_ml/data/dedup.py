"""Leave out documents whose text was seen before."""

from __future__ import annotations

from codex_ml.data.digest_set import DigestSet
from codex_ml.data.document import Document, Dropped


class ExactDedup:
    """Remembers the digest of every kept text; the first document in the order of the source stays."""

    def __init__(self) -> None:
        self._seen = DigestSet()

    def verdict(self, document: Document, *, sha256: str) -> Dropped | None:
        """Why *document* is left out, or None when its text is new."""
        if self._seen.add(bytes.fromhex(sha256)):
            return None
        detail = f"same text as an earlier document, sha256 {sha256}"
        return Dropped(document.id, document.path, len(document.raw), "dedup.exact", detail)
