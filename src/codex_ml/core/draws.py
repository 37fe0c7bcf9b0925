"""Counter randomness: every draw is a hash of (seed, purpose, counters), so no stream has to be restored."""

from __future__ import annotations

import hashlib

from codex_ml.core.digest import canonical_json

#: Part of every draw; a changed scheme changes the name and with it every number.
SCHEME = "codex-draw/1"


def draw_seed(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit number that depends on all arguments and on nothing else.

    Canonical JSON keeps the arguments apart: ("a", 11) and ("a", 1, 1) cannot meet.
    """
    text = canonical_json([SCHEME, int(seed), purpose, [int(counter) for counter in counters]])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") >> 1
