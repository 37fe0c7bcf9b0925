"""The package that parts go into: its place, its entry points, what was made in it before."""

from __future__ import annotations

import difflib
import json
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.digest import digest_bytes
from codex_ml.core.publish import make_directory, read_json, write_file, writing
from codex_ml.errors import ConflictError, IntegrityError, UsageError
from codex_ml.registry.contracts import CONTRACTS
from codex_ml.scaffold.entry_points import with_entry_point
from codex_ml.scaffold.kinds import KINDS, Part, filled, module_name, refuse_taken

_RECORD = Path(".codex") / "scaffold.json"
_PROJECT = "pyproject.toml"


@dataclass(frozen=True)
class Change:
    """Files before (None: new) and after, relative to *root*."""

    root: Path
    files: Mapping[str, tuple[str | None, str]]

    def diff(self) -> str:
        """What would be written, as a unified diff."""
        parts = []
        for path, (old, new) in sorted(self.files.items()):
            before = f"a/{path}" if old is not None else "/dev/null"
            lines = difflib.unified_diff(
                (old or "").splitlines(keepends=True), new.splitlines(keepends=True), before, f"b/{path}"
            )
            parts.append("".join(lines))
        return "".join(parts)

    def write(self) -> list[Path]:
        """Write the files; new ones must still not be there."""
        for path, (old, _new) in self.files.items():
            if old is None:
                refuse_existing(self.root / path)
        for path, (_old, new) in self.files.items():
            with writing(self.root / path):
                make_directory((self.root / path).parent)
            write_file(self.root / path, new)
        return [self.root / path for path in sorted(self.files)]


def refuse_existing(path: Path) -> None:
    """Raise ConflictError where something is already: nothing is ever overwritten."""
    if path.exists() or path.is_symlink():
        raise ConflictError(
            f"{path} exists",
            code="scaffold.exists",
            wanted="a name that is free",
            next_step="choose another name, or move the file away",
        )


def add_part(word: str, name: str, folder: Path) -> Change:
    """The change that makes a part in the package at *folder*: module, test, entry point.

    Raises UsageError where there is no package, ConflictError for a name that is taken.
    """
    text, project = read_project(folder)
    part = Part(word, name, package_of(folder, project))
    refuse_taken(part)
    base = folder / "src" if (folder / "src" / part.package).is_dir() else folder
    module = (base / part.package / f"{part.module}.py").relative_to(folder).as_posix()
    files: dict[str, tuple[str | None, str]] = {
        module: (None, part.source()),
        f"tests/test_{part.module}.py": (None, part.test()),
        _PROJECT: (text, with_entry_point(text, part.kind, name, part.target)),
    }
    files[_RECORD.as_posix()] = _record_of(part, folder, files)
    for path in (module, f"tests/test_{part.module}.py", module.removesuffix(".py")):
        refuse_existing(folder / path)
    return Change(folder, files)


def _record_of(
    part: Part, folder: Path, files: Mapping[str, tuple[str | None, str]]
) -> tuple[str | None, str]:
    """The record of what was made, by which drift is told later, before and after this part."""
    known = recorded(folder)
    items = [item for item in known if (item["word"], item["name"]) != (part.word, part.name)]
    made = {file: digest_bytes(new.encode()) for file, (old, new) in sorted(files.items()) if old is None}
    contract = CONTRACTS[part.kind].version
    items.append({"word": part.word, "name": part.name, "files": made, "contract": contract})
    place = folder / _RECORD
    before = place.read_text(encoding="utf-8") if place.is_file() else None
    return before, json.dumps({"format": 1, "items": items}, indent=2) + "\n"


def recorded(folder: Path) -> list[dict[str, Any]]:
    """What was made here; nothing where there is no record."""
    try:
        found = read_json(folder / _RECORD)
    except FileNotFoundError:
        return []
    items = found.get("items") if isinstance(found, dict) else None
    if not isinstance(items, list) or not all(_is_record(item) for item in items):
        place = folder / _RECORD
        raise IntegrityError(
            f"{place} is no record of scaffold",
            code="scaffold.record",
            got=str(found)[:80],
            next_step="move it away; parts that were made before are no longer watched",
        )
    return items


def _is_record(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    word, name, files = (item.get(key) for key in ("word", "name", "files"))
    named = isinstance(word, str) and word in KINDS and isinstance(name, str)
    digests = isinstance(files, dict) and all(isinstance(one, str) for one in files.values())
    return named and digests and isinstance(item.get("contract"), int)


def new_plugin(name: str, folder: Path) -> list[Path]:
    """A new package *folder*/*name*. Raises ConflictError where something is already."""
    return plugin_change(name, folder).write()


def plugin_change(name: str, folder: Path) -> Change:
    """What `new_plugin` writes."""
    package = module_name(name)
    if package in sys.stdlib_module_names or package in ("codex_ml", "tests"):
        raise UsageError(
            f"'{name}' would hide the package {package}",
            code="scaffold.name",
            wanted="a name of its own",
            next_step="choose another name, such as my-parts",
        )
    values = {"name": name, "package": package}
    root = folder / name
    refuse_existing(root)
    files: dict[str, tuple[str | None, str]] = {
        _PROJECT: (None, filled("plugin.toml", values)),
        "README.md": (None, filled("plugin.md", values)),
        f"src/{package}/__init__.py": (None, f'"""{name}: parts for codex-ml."""\n'),
    }
    return Change(root, files)


def read_project(folder: Path) -> tuple[str, dict[str, Any]]:
    """The text and contents of the package's pyproject.toml."""
    path = folder / _PROJECT
    try:
        text = path.read_bytes().decode("utf-8")  # line ends stay what they are
        found = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{folder} holds no package that parts could go into",
            code="scaffold.project",
            got=f"{path}: {error}",
            next_step="make one with `codex-ml scaffold plugin NAME`, or give --dir",
        ) from error
    project = found.get("project")
    if not isinstance(project, dict) or not isinstance(project.get("name"), str):
        raise UsageError(f"{path} names no project", code="scaffold.project", wanted="[project] name")
    return text, found


def package_of(folder: Path, project: Mapping[str, Any]) -> str:
    """The import package of a project: the one of its name, else the only one there is."""
    named = re.sub(r"[-.]+", "_", project["project"]["name"]).lower()
    for base in (folder / "src", folder):
        if named.isidentifier() and (base / named / "__init__.py").is_file():
            return named
        found = sorted(path.parent.name for path in base.glob("*/__init__.py") if path.parent.name != "tests")
        if len(found) == 1:
            return found[0]
    raise UsageError(
        f"{folder} has no package of its project's name",
        code="scaffold.project",
        wanted=f"src/{named}/__init__.py or {named}/__init__.py",
    )
