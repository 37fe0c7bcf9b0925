"""A rule of the auditor: what it looks at and what it says. One file each, built in or from a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_ml.audit.model import Evidence, Finding
from codex_ml.audit.source import Source
from codex_ml.errors import LoadError

if TYPE_CHECKING:
    from codex_ml.audit.index import Index


@dataclass(frozen=True)
class Rule:
    """*source* looks at one Python file or notebook, where it is parsed, perhaps in another process.

    *tree* gets what *source* found and the whole repository; what it returns stands. At least one is given.
    The audited code is never run: a rule sees text and syntax trees alone.
    """

    id: str
    severity: str
    title: str
    why: str
    source: Callable[[Source], Iterable[Finding]] | None = None
    tree: Callable[[Index, Sequence[Finding]], Iterable[Finding]] | None = None

    def finding(
        self,
        where: tuple[str, int],
        message: str,
        action: str,
        *,
        symbol: str = "",
        confidence: int = 4,
        severity: str = "",
    ) -> Finding:
        """A finding of this rule at (path, line)."""
        place = Evidence(*where, symbol, message)
        return Finding(self.id, severity or self.severity, self.title, place, message, action, confidence)


def all_rules() -> tuple[Rule, ...]:
    """Every rule by id, those of installed plugins included. Raises LoadError for one that is no `Rule`."""
    from codex_ml.registry import registry_for

    registry = registry_for("audit_rules")
    found = tuple(registry.get(name, contract=_is_rule) for name in registry.names())
    for name, rule in zip(registry.names(), found, strict=True):
        if rule.id != name:
            raise LoadError(
                f"the rule registered as '{name}' calls itself '{rule.id}'",
                code="audit.rule-id",
                wanted="one name",
                next_step="give the rule the id of its entry point",
            )
    return found


def _is_rule(component: object) -> bool:
    """A codex_ml.audit.rule.Rule"""
    return isinstance(component, Rule)
