"""Patches that apply: each changes one thing, is checked by git, and leaves files that parse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.diffs import refusal, unified
from codex_ml.audit.patch_context import Edit, PatchContext, exact_text
from codex_ml.audit.patches import MAKERS
from codex_ml.audit.wellformed import parses
from codex_ml.core.publish import write_file, writing
from codex_ml.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Patch:
    """A checked `Edit`, as a unified diff. *files*: the texts before and after, which no report shows."""

    id: str
    title: str
    paths: tuple[str, ...]
    why: str
    risk: str
    rollback: str
    validation: str
    rule: str
    diff: str
    files: Mapping[str, tuple[str | None, str]] = field(repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        shown = {name: value for name, value in vars(self).items() if name != "files"}
        return {**shown, "paths": list(self.paths)}


def make_patches(audit: Audit) -> Iterator[Patch]:
    """Patches for what was found, in the order of severity; none that does not apply or does not parse.

    Each is made when it is asked for.
    """
    return (patch for edit in _edits(audit) if (patch := _checked(edit)) is not None)


def find_patch(audit: Audit, wanted: str) -> Patch | None:
    """The patch of this number (from 1) or id. Numbers change when a patch before is no longer needed."""
    if wanted.isdecimal():
        numbered = enumerate(make_patches(audit), 1)
        return next((patch for number, patch in numbered if str(number) == wanted), None)
    return next((_checked(edit) for edit in _edits(audit) if edit.id == wanted), None)


def apply_patch(audit: Audit, wanted: str) -> Patch:
    """Apply the patch of this number or id to the repository; its files get the bytes that the patch says.

    Raises UsageError where there is none, or a file is not what was audited.
    """
    patch = find_patch(audit, wanted)
    if patch is None:
        known = [one.id for one in make_patches(audit)]
        raise UsageError(
            f"there is no patch {wanted}",
            code="audit.patch",
            wanted=f"1 to {len(known)}, or the id of one" if known else "nothing: no patch can be made here",
            next_step=did_you_mean(wanted, known) if known else "see section 3 of the report",
        )
    root = audit.tree.root
    for path, (old, _new) in patch.files.items():
        if exact_text(root, path) != old:
            raise UsageError(
                f"patch {wanted} does not apply",
                code="audit.patch",
                got=f"{path} is not the file that was audited",
                next_step="audit again: the files have changed since",
            )
    for path, (_old, new) in patch.files.items():
        _put(root / path, new)
    return patch


def _put(target: Path, text: str) -> None:
    """The whole file or none of it; its mode stays. Raises StorageError."""
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    write_file(target, text)
    if mode is not None:
        with writing(target):
            target.chmod(mode)


def _edits(audit: Audit) -> Iterator[Edit]:
    context = PatchContext(audit)
    for maker in MAKERS:
        yield from maker(context)


def _checked(edit: Edit) -> Patch | None:
    """The patch, if git makes the very files of it that were meant, and they parse."""
    diff = "".join(unified(path, old, new) for path, (old, new) in sorted(edit.files.items()))
    if not diff or not all(parses(path, new) for path, (_old, new) in edit.files.items()):
        return None
    before = {path: old for path, (old, _new) in edit.files.items()}
    if refusal(diff, before, {path: new for path, (_old, new) in edit.files.items()}) is not None:
        return None
    paths = tuple(sorted(edit.files))
    rollback = f"git apply -R, or revert {', '.join(paths)}"
    words = (edit.title, paths, edit.why, edit.risk, rollback, edit.validation, edit.rule)
    return Patch(edit.id, *words, diff, edit.files)
