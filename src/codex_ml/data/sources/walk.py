"""Find the files below a folder: hidden, ignored and generated ones left out, symbolic links not followed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from codex_ml.core.optional import require
from codex_ml.data.sources.common import posix_name, unreadable
from codex_ml.errors import ConfigError

#: Folders that hold what others wrote or what a tool made.
SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})

# Ignore rules by depth: (folder that holds them as a relative path with a slash at its end, rules).
Rules = tuple[tuple[str, Any], ...]


def globs(patterns: Iterable[str]) -> Any:
    """A matcher of relative paths; a pattern without a slash matches in every folder.

    Raises ConfigError for a pattern that cannot be read.
    """
    library = require("pathspec", extra="train")
    try:
        return library.GitIgnoreSpec.from_lines(patterns)
    except (ValueError, re.error) as error:
        raise ConfigError(
            "data.include or data.exclude holds a pattern that cannot be read",
            code="data.glob",
            got=error,
            next_step="write patterns as in .gitignore, for example '**/*.py' or 'docs/'",
        ) from error


def walk(root: Path, *, honour_gitignore: bool) -> list[tuple[str, Path]]:
    """(relative name, path) of every regular file below *root*, sorted by name.

    Symbolic links are not followed, neither to files nor to folders: what they lead to is either
    found by itself or lies outside. Raises DataError for a folder that cannot be read.
    """
    rules = _rules_above(root) if honour_gitignore else ()
    found = _walk(root, prefix="", rules=rules, honour=honour_gitignore)
    return sorted((posix_name(name), path) for name, path in found)


def _walk(folder: Path, *, prefix: str, rules: Rules, honour: bool) -> Iterator[tuple[str, Path]]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(folder, error) from error
    if honour:
        rules = _add(rules, folder / ".gitignore", base=prefix)
    for entry in entries:
        name = prefix + entry.name
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir(follow_symlinks=False):
            if not _left_out(entry, name=name, rules=rules):
                yield from _walk(Path(entry.path), prefix=f"{name}/", rules=rules, honour=honour)
        elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode) and not _ignored(name, rules):
            yield name, Path(entry.path)


def _left_out(entry: os.DirEntry[str], *, name: str, rules: Rules) -> bool:
    if entry.name in SKIPPED_FOLDERS or _ignored(f"{name}/", rules):
        return True
    # os.path.exists and not Path.exists, which raises where a folder may not be entered.
    return os.path.exists(f"{entry.path}/pyvenv.cfg")  # noqa: PTH110  # a virtual environment under any name


def _ignored(name: str, rules: Rules) -> bool:
    """As git decides: the deepest file with a word on *name* has it, and in it the last pattern."""
    for base, spec in reversed(rules):
        verdict = spec.check_file(base_relative(name, base)).include
        if verdict is not None:
            return bool(verdict)
    return False


def base_relative(name: str, base: str) -> str:
    """*name* as seen from the folder of the rules; a base above the root is given as ``!parts/``."""
    return base[1:] + name if base.startswith("!") else name[len(base) :]


def _add(rules: Rules, file: Path, *, base: str) -> Rules:
    if not file.is_file():
        return rules
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise unreadable(file, error) from error
    return (*rules, (base, globs(line for line in lines if _readable(line))))


def _readable(line: str) -> bool:
    """Git passes over a pattern that it cannot read, and so do we."""
    try:
        globs([line])
    except ConfigError:
        return False
    return True


def _rules_above(root: Path) -> Rules:
    """The rules of the repository around *root*, when it lies inside one."""
    root = root.resolve()
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    rules = _add((), top / ".git" / "info" / "exclude", base=_above(top, root))
    for folder in reversed([f for f in root.parents if f == top or top in f.parents]):
        rules = _add(rules, folder / ".gitignore", base=_above(folder, root))
    return rules


def _above(folder: Path, root: Path) -> str:
    inner = root.relative_to(folder).as_posix()
    return "" if inner == "." else f"!{inner}/"
