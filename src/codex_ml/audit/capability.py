"""What a capability needs, and the row of the audit table that its evidence makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codex_ml.audit.model import IMPLEMENTED, MISSING, PARTIAL, STUBBED, Evidence
from codex_ml.audit.signals import Signal

#: Stands for "a test with an assertion reaches the code that shows the first need".
TESTED = "tested"


@dataclass(frozen=True)
class Need:
    """One piece of required evidence. It is there when one of *signals* is, and no finding of *without*.

    *gap*, *risk* and *plan* are said when it is missing; *severity* 1 to 5 is what its absence costs. *of*:
    a need that this one is a part of: while that is missing, nothing is said of the part.
    """

    id: str
    signals: tuple[str, ...]
    gap: str
    risk: str
    plan: str
    severity: int = 3
    without: tuple[str, ...] = ()
    of: str = ""


@dataclass(frozen=True)
class Capability:
    """A row of the table. The first need is what the capability is; without it there is none."""

    id: str
    name: str
    signals: tuple[Signal, ...]
    needs: tuple[Need, ...]
    tests_reach: str = ""

    @property
    def tested_by(self) -> tuple[str, ...]:
        """The signals that a test must reach: of the need *tests_reach*, else of the first."""
        named = [need for need in self.needs if need.id == self.tests_reach]
        return (named or list(self.needs))[0].signals


@dataclass(frozen=True)
class Row:
    """A capability judged. *shown*: need -> its evidence; *missing*: needs without any."""

    capability: Capability
    status: str
    confidence: int
    shown: Mapping[str, Sequence[Evidence]]
    missing: tuple[Need, ...]

    @property
    def severity(self) -> int:
        """1 (nothing is missing) to 5."""
        return max((need.severity for need in self.missing), default=1)


def judge(
    capability: Capability,
    evidence: Mapping[str, Sequence[Evidence]],
    *,
    counted: Mapping[str, int],
    blind: int,
) -> Row:
    """The row of one capability.

    *evidence*: signal -> places (``stub:SIGNAL`` for those within stubs, `TESTED` for tests). *counted*:
    rule -> number of its findings. *blind*: Python files and notebooks that could not be read. *Implemented*
    is said only when no need is missing.
    """
    shown: dict[str, Sequence[Evidence]] = {}
    missing: list[Need] = []
    for need in capability.needs:
        if need.of and need.of not in shown:
            continue
        places = [place for name in need.signals for place in evidence.get(name, ())]
        spoiled = any(counted.get(rule) for rule in need.without)
        if spoiled or (need.signals and not places):
            missing.append(need)
        else:
            shown[need.id] = places
    status = _status(capability, shown, missing, evidence)
    return Row(capability, status, _confidence(status, shown, blind), shown, tuple(missing))


def _status(
    capability: Capability,
    shown: Mapping[str, Sequence[Evidence]],
    missing: Sequence[Need],
    evidence: Mapping[str, Sequence[Evidence]],
) -> str:
    first = capability.needs[0]
    if first.id not in shown:
        if any(evidence.get(f"stub:{name}") for name in first.signals):
            return STUBBED
        return MISSING
    return PARTIAL if missing else IMPLEMENTED


def _confidence(status: str, shown: Mapping[str, Sequence[Evidence]], blind: int) -> int:
    """1 to 5: tests say more than code alone, and files that could not be read may hold anything."""
    if status == MISSING:
        return 2 if blind else 4
    tested = any(place.note.startswith("test") for places in shown.values() for place in places)
    return max(1, (5 if tested else 3) - bool(blind))
