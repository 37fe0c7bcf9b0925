"""Where a package has moved away from what was scaffolded into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codex_ml.core.digest import digest_file
from codex_ml.registry.contracts import CONTRACTS
from codex_ml.registry.plugins import PREFIX
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
    points = project["project"].get("entry-points", {})
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
            module = target.partition(":")[0].replace(".", "/")
            places = (base / f"{module}.py", base / module / "__init__.py")
            if module.split("/")[0] == package and not any(place.is_file() for place in places):
                yield Drift(f"{kind}/{name}", f"{target} leads nowhere", harmful=True)
