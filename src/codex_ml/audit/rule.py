"""A rule of the auditor: what it looks at and what it says. One file each, built in or from a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_ml.audit.model import Evidence, Finding
from codex_ml.audit.source import Source
from codex_ml.errors import RegistryError
from codex_ml.registry.builtins import BUILTINS

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
    """Every rule by id, those of plugins included, without those that are broken (see `broken_rules`)."""
    return _loaded()[0]


def broken_rules() -> Mapping[str, str]:
    """The rules of plugins that do not load, by name, and why: they are left out, and the audit says so."""
    return _loaded()[1]


def is_foreign(rule: Rule) -> bool:
    """Whether a rule is of a plugin: what it raises is told, and ends no audit."""
    return rule.id not in BUILTINS["audit_rules"]


def _loaded() -> tuple[tuple[Rule, ...], dict[str, str]]:
    from codex_ml.registry import registry_for

    registry = registry_for("audit_rules")
    found: list[Rule] = []
    broken: dict[str, str] = {}
    for name in registry.names():
        try:
            rule = registry.get(name, contract=_is_rule)
        except RegistryError as error:
            broken[name] = error.line()
            continue
        if rule.id == name:
            found.append(rule)
        else:
            broken[name] = f"it calls itself '{rule.id}'; a rule has the id of its entry point"
    return tuple(found), broken


def _is_rule(component: object) -> bool:
    """A codex_ml.audit.rule.Rule"""
    return isinstance(component, Rule)
