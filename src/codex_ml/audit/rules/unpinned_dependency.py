"""Dependencies that may be any version, where no lock says which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    if any(True for _ in index.project.locks()):
        return  # a lock pins them all
    for one in index.project.requirements:
        if not one.pin:
            yield RULE.finding(
                (one.path, one.line),
                f"{one.name} may be any version",
                "give it a lower bound, and lock all versions with hashes",
                symbol=one.name,
                confidence=5,
            )


RULE = Rule(
    "unpinned-dependency",
    "medium",
    "Dependency without a version",
    "Tomorrow's installation is another program. A lock file settles it.",
    tree=_tree,
)
