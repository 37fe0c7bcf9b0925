"""Patches that apply: each changes one thing, is checked by git, and leaves files that parse."""

from __future__ import annotations

import ast
import difflib
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from codex_ml.audit.audit import Audit
from codex_ml.audit.model import Finding
from codex_ml.core.digest import digest_bytes
from codex_ml.core.git_calls import git
from codex_ml.errors import UsageError, did_you_mean

_SECONDS = 20.0
_DEVNULL = "/dev/null"


@dataclass(frozen=True)
class Edit:
    """One change, as files before (``None``: a new file) and after. Texts keep their line ends and marks."""

    title: str
    files: Mapping[str, tuple[str | None, str]]
    why: str
    risk: str
    validation: str
    rule: str


@dataclass(frozen=True)
class Patch:
    """A checked `Edit`, as a unified diff. *id* stays the same when other patches come and go."""

    id: str
    title: str
    paths: tuple[str, ...]
    why: str
    risk: str
    rollback: str
    validation: str
    rule: str
    diff: str

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "paths": list(self.paths)}


Maker = Callable[[Audit], Iterator[Edit]]
#: (path, text, findings there) -> the text with what was found mended; None where that cannot be done safely.
Rewrite = Callable[[str, str, list[Finding]], str | None]


def rewritten(
    audit: Audit,
    rule: str,
    rewrite: Rewrite,
    *,
    title: str,
    why: str,
    risk: str,
    validation: str,
    by_symbol: bool = False,
) -> Iterator[Edit]:
    """One edit for each file where *rule* found something, or *by_symbol* for each file and symbol.

    The texts may name ``{path}`` and ``{symbols}``. Notebooks are left alone.
    """
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in audit.findings:
        if one.rule == rule and "#" not in one.evidence.path:
            groups[one.evidence.path, one.evidence.symbol if by_symbol else ""].append(one)
    for (path, _symbol), found in sorted(groups.items()):
        text = exact_text(audit.tree.root, path)
        changed = rewrite(path, text, found) if text is not None else None
        if text is not None and changed is not None:
            symbols = ", ".join(sorted({one.evidence.symbol for one in found}))
            texts = (title, why, risk, validation)
            name, *told = (words.format(path=path, symbols=symbols) for words in texts)
            yield Edit(name, {path: (text, changed)}, told[0], told[1], told[2], rule)


def lines_of(found: list[Finding]) -> set[int]:
    """The lines that findings stand on."""
    return {one.evidence.line for one in found}


def make_patches(audit: Audit) -> list[Patch]:
    """Patches for what was found, in the order of severity; none that does not apply or does not parse."""
    from codex_ml.audit.patches import MAKERS

    found: list[Patch] = []
    for maker in MAKERS:
        for edit in maker(audit):
            diff = "".join(unified(path, old, new) for path, (old, new) in sorted(edit.files.items()))
            whole = all(parses(path, new) for path, (_old, new) in edit.files.items())
            if (
                diff
                and whole
                and refusal(diff, {path: old for path, (old, _new) in edit.files.items()}) is None
            ):
                paths = tuple(sorted(edit.files))
                rollback = f"git apply -R, or revert {', '.join(paths)}"
                name = f"{edit.rule}-{digest_bytes(edit.title.encode('utf-8', 'replace'))[:8]}"
                words = (edit.title, paths, edit.why, edit.risk, rollback, edit.validation, edit.rule)
                found.append(Patch(name, *words, diff))
    return found


def apply_patch(audit: Audit, patches: Sequence[Patch], wanted: str) -> Patch:
    """Apply the patch of this number (from 1) or id to the repository.

    Numbers change when a patch before is no longer needed, ids do not. Raises UsageError for none of them, or
    where git refuses.
    """
    named = {patch.id: patch for patch in patches}
    named |= {str(number): patch for number, patch in enumerate(patches, start=1)}
    if wanted not in named:
        raise UsageError(
            f"there is no patch {wanted}",
            code="audit.patch",
            wanted=f"1 to {len(patches)}, or the id of one"
            if patches
            else "nothing: no patch can be made here",
            next_step=did_you_mean(wanted, named) if patches else "see section 3 of the report",
        )
    patch = named[wanted]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one.patch"
        file.write_text(patch.diff, encoding="utf-8", newline="")
        answer = git(audit.tree.root, "apply", "--whitespace=nowarn", str(file), seconds=_SECONDS)
    if answer is None or not answer.good:
        raise UsageError(
            f"patch {wanted} does not apply",
            code="audit.patch",
            got="there is no git" if answer is None else answer.error,
            next_step="audit again: the files have changed since",
        )
    return patch


def refusal(diff: str, before: Mapping[str, str | None]) -> str | None:
    """Why *diff* is no patch that changes the files *before*; None when git applies it."""
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
                target.write_text(text, encoding="utf-8", newline="")
        patch = root / ".codex.patch"
        patch.write_text(diff, encoding="utf-8", newline="")
        answer = git(root, "apply", "--check", str(patch), seconds=_SECONDS)
    if answer is None:
        return "there is no git to check it with"
    return None if answer.good else answer.error or "git refuses it"


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


def _split(text: str) -> Iterator[str]:
    r"""Lines with their ends, split at ``\\n`` alone, as git does."""
    start = 0
    while (stop := text.find("\n", start)) >= 0:
        yield text[start : stop + 1]
        start = stop + 1
    if start < len(text):
        yield text[start:]


def parses(path: str, text: str) -> bool:
    """Whether a changed file is still what its name says."""
    try:
        if path.endswith((".py", ".pyi")):
            ast.parse(text.removeprefix("\ufeff"))
        elif path.endswith((".yaml", ".yml")):
            yaml.safe_load(text)
        elif path.endswith(".toml"):
            tomllib.loads(text)
    except (SyntaxError, ValueError, yaml.YAMLError, RecursionError):
        return False
    return True


def exact_text(root: Path, path: str) -> str | None:
    """The text of a file as it lies there, line ends and marks kept; None for what is no UTF-8."""
    try:
        return (root / path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
