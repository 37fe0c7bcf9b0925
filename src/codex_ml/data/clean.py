"""Decide which documents are kept. The text of a kept document is never altered.

Line ends, a byte-order mark, blanks at line ends and the missing last newline stay as they are: what a
model sees is what the file holds, and its sha256 is the file's.
"""

from __future__ import annotations

import string

from codex_ml.config.schema.data import DataConfig
from codex_ml.data.document import Document, Dropped

#: Letters, digits, blanks, the underscore of names, and every byte of a character beyond ASCII.
_TEXT_BYTES = (string.ascii_letters + string.digits + string.whitespace + "_").encode() + bytes(
    range(128, 256)
)


def verdict(document: Document, *, cfg: DataConfig) -> Dropped | None:
    """Why *document* is left out, or None when it is kept."""
    raw = document.raw
    if len(raw) < cfg.min_bytes:
        return _drop(document, "clean.short", f"{len(raw)} bytes, data.min_bytes={cfg.min_bytes}")
    if len(raw) > cfg.max_bytes:
        return _drop(document, "clean.long", f"{len(raw)} bytes, data.max_bytes={cfg.max_bytes}")
    if not raw.strip():
        return _drop(document, "clean.blank", "nothing but blanks")
    longest = max(map(len, raw.split(b"\n")))
    if longest > cfg.max_line_bytes:
        return _drop(
            document, "clean.line", f"a line of {longest} bytes, data.max_line_bytes={cfg.max_line_bytes}"
        )
    share = 1 - len(raw.translate(None, _TEXT_BYTES)) / len(raw)
    if share < cfg.min_text_share:
        return _drop(
            document, "clean.text-share", f"{share:.2f} is text, data.min_text_share={cfg.min_text_share}"
        )
    return None


def _drop(document: Document, reason: str, detail: str) -> Dropped:
    return Dropped(document.id, document.path, len(document.raw), reason, detail)
