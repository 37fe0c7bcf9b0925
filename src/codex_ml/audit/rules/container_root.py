"""Images that run as root."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.tree import File


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    for file in index.project.dockerfiles():
        users = [line.split()[1] for _n, line in index.project.lines(file, r"(?i)^\s*USER\s+\S")]
        if not users or users[-1].split(":")[0] in ("root", "0"):
            yield RULE.finding(
                last_stage(index, file), "the container runs as root", "add a user without rights and USER"
            )


def last_stage(index: Index, file: File) -> tuple[str, int]:
    """Where the image that is run begins."""
    stages = [number for number, _line in index.project.lines(file, r"(?i)^\s*FROM\b")]
    return file.path, stages[-1] if stages else 1


RULE = Rule(
    "container-root", "medium", "Container as root", "One hole gives away what the host mounts.", tree=_tree
)
