"""What nox says of its sessions and their commands."""

from __future__ import annotations

import re
from typing import NamedTuple

from codex_ml.digest.failures import Rank

_NOX_FAILED = re.compile(r"nox > (?P<what>Command (?P<command>.*) failed with exit code \d+.*)$")
_NOX_SESSION = re.compile(
    r"nox > (?P<what>Session (?P<session>\S+) (?P<end>failed|aborted)(?:\.|: (?P<why>.*)))$"
)
_NOX_OTHER = re.compile(r"nox > (?P<what>Program .* not found.*|\w*Error: .*)$")


class Said(NamedTuple):
    """That something failed."""

    rank: Rank
    what: str
    session: str | None = None


def nox_said(text: str) -> Said | None:
    """The failure that a line of nox tells, if it does."""
    if found := _NOX_FAILED.match(text):
        return Said(Rank.SUMMARY, found["what"])
    if found := _NOX_SESSION.match(text):
        return Said(Rank.REAL if found["why"] else Rank.SUMMARY, found["what"], found["session"])
    if found := _NOX_OTHER.match(text):
        return Said(Rank.REAL, found["what"])
    return None
