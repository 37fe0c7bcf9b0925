"""Which files belong together: those that imports join, whatever their direction, are one program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath


def modules_of(path: str) -> set[str]:
    """The dotted names that a file may be imported by, from the longest to its own."""
    pure = PurePosixPath(path.partition("#")[0])
    parts = [*pure.parts[:-1], pure.stem] if pure.stem != "__init__" else list(pure.parts[:-1])
    return {".".join(parts[start:]) for start in range(len(parts)) if parts[start:]} - {""}


def by_module(paths: Iterable[str]) -> dict[str, list[str]]:
    """Module name -> the files that it may mean."""
    files: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for name in modules_of(path):
            files[name].append(path)
    return files


def programs(imports: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Path -> the number of its program. *imports*: path -> the modules it imports, leading dots kept."""
    files = by_module(imports)
    parent = {path: path for path in imports}
    for path, names in imports.items():
        for name in names:
            found = file_of(path, name, files)
            if found is not None:
                parent[_root(parent, path)] = _root(parent, found)
    numbers: dict[str, int] = {}
    return {path: numbers.setdefault(_root(parent, path), len(numbers)) for path in sorted(imports)}


def file_of(path: str, name: str, files: Mapping[str, list[str]]) -> str | None:
    """The file that *name* means in *path*: one beside it before others, none when several could be meant."""
    folder = path.rpartition("/")[0]
    bare = name.lstrip(".")
    level = len(name) - len(bare)
    if level:
        parts = folder.split("/") if folder else []
        base = parts[: len(parts) - level + 1]
        bare = ".".join([*base, bare] if bare else base)
    found = files.get(bare, ())
    if len(found) == 1:
        return found[0]
    beside = [one for one in found if not folder or one.startswith(f"{folder}/")]
    return beside[0] if len(beside) == 1 else None


def _root(parent: dict[str, str], path: str) -> str:
    while parent[path] != path:
        parent[path] = parent[parent[path]]
        path = parent[path]
    return path
