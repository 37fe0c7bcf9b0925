"""A hook that looks for secrets without a baseline to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    for file in index.tree.named(".pre-commit-config.yaml"):
        text = index.project.text(file)
        for number, _line in index.project.lines(file, r"^\s*-\s*id:\s*detect-secrets\s*$"):
            if "--baseline" not in text:
                yield RULE.finding(
                    (file.path, number),
                    "detect-secrets runs without a baseline",
                    "give it --baseline .secrets.baseline, and commit that file",
                    confidence=5,
                )


RULE = Rule(
    "secret-baseline",
    "low",
    "Secret scan without a baseline",
    "Known false alarms hide the new one.",
    tree=_tree,
)
