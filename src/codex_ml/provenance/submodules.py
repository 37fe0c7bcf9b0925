"""Submodules: the commit that the repository wants, and the one that is checked out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codex_ml.core.git_calls import git

_MOST = 32


def submodules(root: Path, *, seconds: float) -> list[dict[str, Any]]:
    """Path, wanted and present commit of each submodule (the first 32); None where none is checked out."""
    if not (root / ".gitmodules").is_file():
        return []
    named = git(root, "config", "-z", "-f", ".gitmodules", "--get-regexp", r"\.path$", seconds=seconds)
    paths = sorted(row.partition("\n")[2] for row in named.names())[:_MOST] if named else []
    if not paths:
        return []
    listed = git(root, "ls-tree", "-z", "HEAD", "--", *paths, seconds=seconds)
    wanted = {}
    for row in listed.names() if listed else []:
        facts, _, path = row.partition("\t")
        wanted[path] = facts.split()[2]
    return [
        {"path": path, "wanted": wanted.get(path), "commit": _present(root / path, seconds=seconds)}
        for path in paths
    ]


def _present(path: Path, *, seconds: float) -> str | None:
    if not (path / ".git").exists():
        return None
    answer = git(path, "rev-parse", "HEAD", seconds=seconds)
    return answer.line() if answer is not None and answer.good else None
