"""The failures of a log, as many as there is room for, in the order of their lines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from codex_ml.digest.blocks import repetition_key
from codex_ml.digest.failures import Failure, Rank

#: More failures than these are counted and not kept.
MOST_FAILURES = 20_000
#: Of those, so many are compared with the kept ones before they are left out.
_MOST_COMPARED = 20_000


def _line(failure: Failure) -> int:
    return failure.line


class Kept:
    """Failures are added as they are found, and demoted when a later line says that nothing came of them."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.left_out = 0
        self.more: dict[str, int] = {}  # repetitions of kept failures, by key, once the list is full
        self._settled: dict[tuple[str, ...], tuple[int, int]] = {}  # see demote

    def add(self, failure: Failure) -> None:
        """Keep *failure* at its place: a traceback is over later than what stands between its lines."""
        if len(self.failures) >= MOST_FAILURES:
            self._count(failure)
        elif not self.failures or self.failures[-1].line <= failure.line:
            self.failures.append(failure)
        else:
            at = bisect_right(self.failures, failure.line, key=_line)
            self.failures.insert(at, failure)
            self._settled = {but: (since, min(to, at)) for but, (since, to) in self._settled.items()}

    def demote(self, since: int, note: str, *, but: tuple[str, ...] = ()) -> None:
        """Mark all failures from line *since* on as handled, but those of some kinds."""
        known, settled = self._settled.get(but, (0, 0))
        first = bisect_left(self.failures, since, key=_line)
        for at in range(max(first, settled if known == since else 0), len(self.failures)):
            one = self.failures[at]
            if one.rank is not Rank.HANDLED and one.kind not in but:
                self.failures[at] = one.demoted(note)
        # A log may say it of one step again and again: each failure is looked at once.
        self._settled[but] = (since, len(self.failures))

    def _count(self, failure: Failure) -> None:
        """Count a failure for which there is no room: with its like, or as left out."""
        if self.left_out >= _MOST_COMPARED:
            self.left_out += 1
            return
        if not self.more:
            self.more = {repetition_key(one): 0 for one in self.failures}
        key = repetition_key(failure)
        if key in self.more:
            self.more[key] += 1
        else:
            self.left_out += 1
