"""Digests of the files that no commit holds: bounded in number, bytes and time, with what was left out."""

from __future__ import annotations

import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codex_ml.core.digest import digest_file, digest_json
from codex_ml.core.redact import redact_text
from codex_ml.provenance.patch import is_for_secrets

FILES, FILE_BYTES, ALL_BYTES = 200, 1 << 24, 1 << 26


def digest_untracked(
    root: Path, names: Sequence[str], *, leave_out: Sequence[Path] = (), seconds: float
) -> dict[str, Any]:
    """Path, size and sha256 of the files *names* below *root*; ignored ones are not among them.

    ``left_out`` counts those beyond the bounds and ``cut`` says which bound it was; links and what is
    no file are listed by their kind. A file made for secrets has no digest: a short one could be guessed.
    """
    end, spent = time.monotonic() + seconds, 0
    own = _prefixes(root, leave_out)
    wanted = sorted(name for name in names if not f"{name}/".startswith(own))
    listed: list[dict[str, Any]] = []
    cut: list[str] = []
    for name in wanted:
        if len(listed) == FILES or spent > ALL_BYTES or time.monotonic() > end:
            bound = f"{FILES} files" if len(listed) == FILES else "the bytes or the time for them"
            cut.append(f"untracked files: beyond {bound} only counted")
            break
        row, size = _row(root / name, digest=not is_for_secrets(name))
        spent += size
        listed.append({"path": redact_text(name), **row})
    return {
        "files": len(wanted),
        "listed": listed,
        "left_out": len(wanted) - len(listed),
        "sha256": digest_json([wanted, [row.get("sha256") for row in listed]]),
        "cut": cut,
    }


def _prefixes(root: Path, folders: Sequence[Path]) -> tuple[str, ...]:
    """How the names of the files in *folders* begin, as git tells names: relative to *root*."""
    root, found = root.resolve(), []
    for folder in (path.resolve() for path in folders):
        if root.is_relative_to(folder):
            found.append("")  # all of them
        elif folder.is_relative_to(root):
            found.append(f"{folder.relative_to(root).as_posix()}/")
    return tuple(found)


def _row(path: Path, *, digest: bool) -> tuple[dict[str, Any], int]:
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return {"kind": "link" if stat.S_ISLNK(found.st_mode) else "other"}, 0
        if found.st_size > FILE_BYTES or not digest:
            return {"size": found.st_size, "sha256": None}, 0
        return {"size": found.st_size, "sha256": digest_file(path)}, found.st_size
    except OSError as error:
        return {"kind": f"unreadable: {error.strerror}"}, 0
