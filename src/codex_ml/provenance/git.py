"""The state of the git repository of the working directory; recorded, never part of the identity."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

_USERINFO = re.compile(r"(?<=://)[^/\s]*@")


def git_state(directory: Path) -> dict[str, Any] | None:
    """Commit, branch, dirty flag and origin (user-info removed); None outside a repository."""
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return None
    origin = _git(directory, "remote", "get-url", "origin")
    return {
        "commit": commit,
        "branch": _git(directory, "rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(_git(directory, "status", "--porcelain", "--untracked-files=no")),
        "origin": _USERINFO.sub("", origin) if origin else None,
    }


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
