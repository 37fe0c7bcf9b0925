"""Which of several processes of one run failed first: what torchrun says, else whose peer was gone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codex_ml.digest.clean import Line
from codex_ml.digest.failures import Failure

#: The head of torchrun's account, which the reader has to see the next lines of.
ROOT_CAUSE = "Root Cause (first observed failure):"
_RANK = re.compile(r"\s*rank\s*: (?P<rank>\d{1,6}) \(local_rank: (?P<local>\d{1,6})\)")
_MOST_LINES = 12
_STREAM = re.compile(r"\[(?P<how>rank|default|\d+,)(?P<number>\d+)\]")
#: A collective complains of another process: words of the library, and words for a peer that is gone.
_COLLECTIVE = re.compile(r"NCCL|nccl|[Gg]loo\b|ProcessGroup|c10d|TCPStore|DistBackendError|DistNetworkError")
_PEER = re.compile(
    r"(?i)remote process exited|connection (?:was )?(?:reset|closed|refused)|broken pipe|socket|peer\b|"
    r"timed out|timeout|communicator was aborted|remoteerror|unhandled system error"
)


class RootCause:
    """The lines after `ROOT_CAUSE`, up to the rank of the process that failed first."""

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()  # of the streams of that process
        self._left = 0

    @property
    def hot(self) -> bool:
        """Whether the next line has to be seen."""
        return self._left > 0

    def begin(self) -> None:
        """The head was read."""
        self._left = 0 if self.names else _MOST_LINES  # the first account is that of the first run

    def feed(self, line: Line) -> None:
        """Read a line after the head."""
        self._left -= 1
        if found := _RANK.match(line.text):
            self.names = frozenset({f"rank{found['rank']}", f"default{found['local']}"})
            self._left = 0


def first_of(failures: Sequence[Failure], names: frozenset[str]) -> Failure:
    """The first real one of *failures*, which are in order and not empty.

    Within the step of the first: a failure of the process that torchrun calls the root cause; else one that
    is no complaint of a collective that its peer is gone.
    """
    step = [one for one in failures if one.number == failures[0].number]
    own = [one for one in step if _process(one.stream) in names]
    for some in (own, step):
        if found := next((one for one in some if not _blames_a_peer(one)), None):
            return found
    return (own or step)[0]


def _process(stream: str) -> str:
    found = _STREAM.match(stream)
    how = "rank" if found and found["how"].endswith(",") else found["how"] if found else ""
    return f"{how}{found['number']}" if found else ""


def _blames_a_peer(failure: Failure) -> bool:
    text = failure.root.text[:2000]
    return _COLLECTIVE.search(text) is not None and _PEER.search(text) is not None
