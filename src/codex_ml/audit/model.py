"""What an audit is made of: evidence, findings, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SEVERITIES = ("info", "low", "medium", "high", "critical")
IMPLEMENTED, PARTIAL, STUBBED, MISSING = "Implemented", "Partially Implemented", "Stubbed", "Missing"
#: Of the audit table.
COLUMNS = (
    *("Capability", "Status", "Existing Artifacts", "Gaps", "Risks"),
    *("Minimal Patch Plan", "Rollback Plan"),
)
#: From the best to the worst.
STATUSES = (IMPLEMENTED, PARTIAL, STUBBED, MISSING)


def severity_rank(name: str) -> int:
    """0 for ``info`` up to 4 for ``critical``."""
    return SEVERITIES.index(name)


@dataclass(frozen=True, order=True)
class Evidence:
    """A place in the repository and what stands there. *line* 0: the file as a whole."""

    path: str
    line: int
    symbol: str = ""
    note: str = ""

    def where(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "line": self.line, "symbol": self.symbol, "note": self.note}


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that a rule saw. *severity*: of `SEVERITIES`; *confidence*: 1 (a guess) to 5 (certain).

    *excused*: the reason why the rule itself sets it aside.
    """

    rule: str
    severity: str
    title: str
    evidence: Evidence
    message: str
    action: str
    confidence: int = 4
    excused: str = ""

    def key(self) -> str:
        """What makes it the same finding in the next report, wherever its line went."""
        return f"{self.rule}:{self.evidence.path}:{self.evidence.symbol}:{self.message}"


@dataclass(frozen=True)
class Suppression:
    """A finding that the audited code itself set aside, with its reason."""

    finding: Finding
    reason: str
