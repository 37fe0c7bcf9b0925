"""Where a package has moved away from what was scaffolded into it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codex_ml.core.digest import digest_file
from codex_ml.registry.contracts import CONTRACTS
from codex_ml.registry.plugins import PREFIX
from codex_ml.scaffold.entry_points import entry_points
from codex_ml.scaffold.kinds import KINDS
from codex_ml.scaffold.project import package_of, read_project, recorded


@dataclass(frozen=True)
class Drift:
    """One difference. *harmful*: the part does not work as it stands; an edited file is meant to be."""

    part: str
    what: str
    harmful: bool


def drift(folder: Path) -> list[Drift]:
    """Files that are gone or edited, parts that are not registered, entry points that lead nowhere, contracts
    that have moved on, parts without a test.
    """
    _text, project = read_project(folder)
    points = entry_points(project)
    return [*_of_the_record(folder, points), *_of_the_entry_points(folder, project, points)]


def _of_the_record(folder: Path, points: dict[str, dict[str, str]]) -> Iterator[Drift]:
    for item in recorded(folder):
        part = f"{item['word']} {item['name']}"
        kind = KINDS[item["word"]][0]
        for path, digest in sorted(item["files"].items()):
            if not (folder / path).is_file():
                yield Drift(part, f"{path} is gone", harmful=True)
            elif digest_file(folder / path) != digest:
                yield Drift(part, f"{path} was edited", harmful=False)
        if item["name"] not in points.get(f"{PREFIX}{kind}", {}):
            yield Drift(part, f"pyproject.toml does not register it in {PREFIX}{kind}", harmful=True)
        if item["contract"] != CONTRACTS[kind].version:
            said = f"made for contract {item['contract']}; this version has {CONTRACTS[kind].version}"
            yield Drift(part, said, harmful=True)


def _of_the_entry_points(
    folder: Path, project: dict[str, object], points: dict[str, dict[str, str]]
) -> Iterator[Drift]:
    package = package_of(folder, project)
    base = folder / "src" if (folder / "src" / package).is_dir() else folder
    for group, named in sorted(points.items()):
        kind = group.removeprefix(PREFIX)
        if not group.startswith(PREFIX):
            continue
        if kind not in CONTRACTS:
            yield Drift(group, f"there is no such group; known: {', '.join(sorted(CONTRACTS))}", harmful=True)
            continue
        for name, target in sorted(named.items()):
            if target.partition(":")[0].partition(".")[0] != package:
                continue
            if not _leads(base, target):
                yield Drift(f"{kind}/{name}", f"{target} leads nowhere", harmful=True)
            elif not _is_tested(folder, target):
                yield Drift(f"{kind}/{name}", "no file of tests/ names its module", harmful=True)


def _is_tested(folder: Path, target: str) -> bool:
    module = target.partition(":")[0].rpartition(".")[2]
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in (folder / "tests").rglob("*.py"))
    return any(re.search(rf"\b{re.escape(module)}\b", text) for text in texts)


def anything_made(folder: Path) -> bool:
    """Whether a part is recorded or registered at all."""
    groups = entry_points(read_project(folder)[1])
    return bool(recorded(folder)) or any(group.startswith(PREFIX) and groups[group] for group in groups)


def _leads(base: Path, target: str) -> bool:
    """Whether the module is there and, as far as can be read without running it, gives the attribute."""
    module, _, attribute = target.partition("[")[0].strip().partition(":")
    path = base / module.replace(".", "/")
    for place in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if place.is_file():
            try:
                given = set(_given(ast.parse(place.read_bytes())))
            except (SyntaxError, ValueError):
                return False
            return not attribute or "*" in given or attribute.partition(".")[0] in given
    return not attribute and path.is_dir()


def _given(tree: ast.Module) -> Iterator[str]:
    """Names that a module has, wherever they come from; ``*`` where it takes all of another's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
