"""Unified diffs, made for git and checked by it."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from codex_ml.core.git_calls import git

_SECONDS = 20.0
_DEVNULL = "/dev/null"
#: Not to be confused with a file of the repository.
_NAME = ".codex-ml.one.patch"


def unified(path: str, old: str | None, new: str) -> str:
    """A diff of one file that git applies, also at a missing last line end or to a new file."""
    if old == new or any(letter in path for letter in '\n\t"\\'):
        return ""
    before, after = (list(_split(text or "")) for text in (old, new))
    names = (_DEVNULL if old is None else f"a/{path}", f"b/{path}")
    lines = list(difflib.unified_diff(before, after, *names, n=3))
    head = [f"diff --git a/{path} b/{path}\n", *(["new file mode 100644\n"] if old is None else [])]
    return "".join(head) + "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def refusal(
    diff: str, before: Mapping[str, str | None], after: Mapping[str, str] | None = None
) -> str | None:
    """Why *diff* is no patch that changes the files *before*, into those *after*; None when git does so.

    It is applied to copies, outside of any repository.
    """
    changes = [
        line for line in diff.splitlines() if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")
    ]
    if not changes:
        return "it changes nothing: no line is added or removed"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, text in before.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                target.write_bytes(text.encode("utf-8"))
        patch = root / _NAME
        patch.write_bytes(diff.encode("utf-8"))
        answer = git(root, "apply", "--whitespace=nowarn", _NAME, seconds=_SECONDS, alone=True)
        if answer is None:
            return "there is no git to check it with"
        if not answer.good:
            return answer.error or "git refuses it"
        for path, wanted in (after or {}).items():
            if not (root / path).is_file() or (root / path).read_bytes() != wanted.encode("utf-8"):
                return f"git makes something else of {path}"
    return None


def _split(text: str) -> Iterator[str]:
    r"""Lines with their ends, split at ``\\n`` alone, as git does."""
    start = 0
    while (stop := text.find("\n", start)) >= 0:
        yield text[start : stop + 1]
        start = stop + 1
    if start < len(text):
        yield text[start:]
