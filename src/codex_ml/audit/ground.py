"""What a report stands on: the tree that was read, by digest, and what that tree asks of an environment."""

from __future__ import annotations

import hashlib
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.tree import File, read_bytes
from codex_ml.core.digest import digest_json

#: Files beside code that decide what a repository does: each is named with its digest.
_NAMED = ("pyproject.toml", "setup.py", "setup.cfg", "dockerfile", "makefile", "noxfile.py", "tox.ini")


def integrity(audit: Audit) -> dict[str, Any]:
    """Digest of every file that was read, so that two reports can be told to be of one tree."""
    digests = [[file.path, _digest(file)] for file in audit.tree.files]
    named = {file.path for file in audit.tree.files if file.name.lower() in _NAMED and "/" not in file.path}
    named |= {file.path for file in audit.index.project.locks()}
    return {
        "files": len(audit.tree.files),
        "lines_of_code": audit.index.lines,
        "manifest_sha256": digest_json(digests),
        "artifacts": [{"path": path, "sha256": digest} for path, digest in digests if path in named],
        "rules": [rule.id for rule in audit.rules],
        "unread": [{"path": one.path, "reason": one.reason} for one in audit.index.unread],
        "suppressed": [
            {"rule": one.finding.rule, "where": one.finding.evidence.where(), "reason": one.reason}
            for one in audit.suppressed
        ],
    }


def environment(audit: Audit) -> dict[str, Any]:
    """What the tree asks for. The machine that audits is not in it: the same tree gives the same bytes."""
    section = audit.index.project.pyproject.get("project", {})
    asked = section.get("requires-python") if isinstance(section, dict) else None
    locks = [[file.path, _digest(file)] for file in audit.index.project.locks()]
    return {
        "python_version": asked if isinstance(asked, str) else None,
        "os": None,
        "runtime_hash": digest_json(locks) if locks else None,
    }


def _digest(file: File) -> str:
    """sha256 of its bytes; of its size alone when it is too large to be read, or gone."""
    data = read_bytes(file)
    return hashlib.sha256(data).hexdigest() if data is not None else f"size:{file.size}"
