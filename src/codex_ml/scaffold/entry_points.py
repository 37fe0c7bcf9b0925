"""The entry points in a pyproject.toml: read, and one more written between the lines that are there."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from codex_ml.errors import ConflictError, UsageError


def entry_points(project: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Group -> name -> target. Raises UsageError where the table is of another form."""
    found = project["project"].get("entry-points", {})
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise UsageError(
            "project.entry-points is no table of tables",
            code="scaffold.project",
            got=str(found)[:80],
            wanted='[project.entry-points."codex_ml.KIND"]',
        )
    return {group: {name: str(target) for name, target in points.items()} for group, points in found.items()}


def with_entry_point(text: str, kind: str, name: str, target: str) -> str:
    """pyproject.toml with one entry point more; every other line stays as it is.

    Raises ConflictError when the group has the name, UsageError where the file says it in a form that a line
    cannot be added to.
    """
    before = tomllib.loads(text)
    points = entry_points(before).get(f"codex_ml.{kind}", {})
    if name in points:
        raise ConflictError(
            f"the package registers '{name}' among the {kind}",
            code="scaffold.exists",
            got=f"{name} = {points[name]}",
            next_step="choose another name",
        )
    header, line = f'[project.entry-points."codex_ml.{kind}"]', f'{name} = "{target}"'
    after = _with_line(text, _header(kind), header, line)
    if not _adds_only(before, after, kind, name, target):
        raise UsageError(
            "the entry point cannot be added to this pyproject.toml",
            code="scaffold.project",
            next_step=f"add it by hand: {line} to project.entry-points of codex_ml.{kind}",
        )
    return after


def _header(kind: str) -> re.Pattern[str]:
    """The line that begins the group's table, in each way of writing it."""
    between = r"\s*\.\s*"
    words = ("project", "[\"']?entry-points[\"']?", f"[\"']codex_ml\\.{kind}[\"']")
    return re.compile(rf"\s*\[\s*{between.join(words)}\s*\]\s*(#.*)?\Z")


def _with_line(text: str, table: re.Pattern[str], header: str, line: str) -> str:
    """*text* with *line* first in the *table*, or in a new one before those of tools."""
    end = "\r" if text.partition("\n")[0].endswith("\r") else ""
    lines = text.rstrip("\r\n").split("\n")
    lines[-1] += end
    at = next((number for number, row in enumerate(lines) if table.match(row)), None)
    if at is not None:
        lines.insert(at + 1, line + end)
        return "\n".join([*lines, ""])
    at = next((number for number, row in enumerate(lines) if row.startswith("[tool")), len(lines))
    while at and lines[at - 1].startswith("#"):  # a comment belongs to what it stands above
        at -= 1
    before = [end] if at and lines[at - 1].strip() else []
    after = [end] if at < len(lines) else []
    lines[at:at] = [*before, header + end, line + end, *after]
    return "\n".join([*lines, ""])


def _adds_only(before: dict[str, Any], text: str, kind: str, name: str, target: str) -> bool:
    """Whether *text* is what was there, and the entry point."""
    try:
        after = tomllib.loads(text)
        points = after["project"]["entry-points"][f"codex_ml.{kind}"]
        if points.pop(name) != target:
            return False
    except (tomllib.TOMLDecodeError, KeyError):
        return False
    wanted = copy.deepcopy(before)
    wanted["project"].setdefault("entry-points", {}).setdefault(f"codex_ml.{kind}", {})
    return bool(after == wanted)
