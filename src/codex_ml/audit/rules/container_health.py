"""Images and services that nobody can ask whether they are well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.rules.container_root import images


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    composed = any(
        True for file in index.project.composes() for _ in index.project.lines(file, r"^\s*healthcheck:")
    )
    for file, image in images(index) if not composed else ():
        if image.health is None:
            off = image.last("HEALTHCHECK") is not None
            yield RULE.finding(
                (file.path, image.line),
                "the health check is switched off" if off else "no health check",
                "add HEALTHCHECK with a command that can fail",
            )


RULE = Rule(
    "container-health", "low", "No health check", "A dead service goes on receiving work.", tree=_tree
)
