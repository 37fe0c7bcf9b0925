"""Locks that name versions and not contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    hashed = {place.path for place in index.evidence.get("config.lock_hashed", ())}
    for file in index.project.locks():
        if file.path not in hashed:
            yield RULE.finding(
                (file.path, 1),
                "no hashes in the lock",
                "lock with hashes (uv pip compile --generate-hashes)",
                confidence=5,
            )


RULE = Rule(
    "lock-hashes", "low", "Lock without hashes", "A replaced file of the same version passes.", tree=_tree
)
