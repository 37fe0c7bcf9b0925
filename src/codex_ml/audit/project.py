"""What a project says of itself outside its code: packages, locks, images, hooks, gates, pages."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from codex_ml.audit.dockerfile import is_dockerfile
from codex_ml.audit.read import decode
from codex_ml.audit.tree import File, Tree, read_bytes, shown

_REQUIREMENTS = re.compile(
    r"(^|/)(requirements[\w.-]*|constraints[\w.-]*)\.(txt|in|lock)$|(^|/)requirements/[\w.-]+\.txt$"
)
_NAME = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?\s*([^#;]*)")
LOCKS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pipfile.lock",
    "conda-lock.yml",
    "pylock.toml",
    "requirements.lock",
)


@dataclass(frozen=True)
class Requirement:
    """One dependency as it is written. *pin*: the rest of its line, such as ``==1.2`` or nothing."""

    name: str
    pin: str
    path: str
    line: int
    optional: bool = False


@dataclass
class Project:
    """Files by what they are; everything here was read as text."""

    tree: Tree
    requirements: list[Requirement] = field(default_factory=list)
    pyproject: dict[str, Any] = field(default_factory=dict)
    pyproject_path: str = ""
    broken: list[tuple[str, str]] = field(default_factory=list)
    _texts: dict[str, str | None] = field(default_factory=dict)

    def text(self, file: File) -> str:
        """The text of a file; empty for one that is binary or gone."""
        if file.path not in self._texts:
            data = read_bytes(file)
            self._texts[file.path] = None if data is None else decode(data)
        return self._texts[file.path] or ""

    def dockerfiles(self) -> Iterator[File]:
        return (file for file in self.tree.files if is_dockerfile(file.name))

    def composes(self) -> Iterator[File]:
        for file in self.tree.files:
            if re.match(r"(docker-)?compose[\w.-]*\.ya?ml$", file.name.lower()):
                yield file

    def locks(self) -> Iterator[File]:
        for file in self.tree.files:
            name = file.name.lower()
            named = name in LOCKS or (file.suffix == ".lock" and "requirements" in name)
            if named and self.text(file).strip():  # an empty one locks nothing
                yield file

    def requirement_files(self) -> Iterator[File]:
        for file in self.tree.files:
            if _REQUIREMENTS.search(file.path.lower()):
                yield file

    def declared(self) -> set[str]:
        """Normalised names of every dependency that is declared anywhere."""
        return {normal(one.name) for one in self.requirements}

    def lines(self, file: File, pattern: str) -> Iterator[tuple[int, str]]:
        """(number, line) of lines that match."""
        found = re.compile(pattern)
        for number, line in enumerate(self.text(file).split("\n"), start=1):
            if found.search(line):
                yield number, line


def read_project(tree: Tree) -> Project:
    """Read manifests; what does not parse goes to ``broken``."""
    project = Project(tree)
    for file in sorted(tree.named("pyproject.toml"), key=lambda one: one.path.count("/")):
        _read_pyproject(project, file)
    for file in project.requirement_files():
        locked = "--hash" in (text := project.text(file))
        for number, line in enumerate(text.split("\n"), start=1):
            if one := requirement(line):
                project.requirements.append(
                    Requirement(one[0], "==locked" if locked else one[1], file.path, number)
                )
    for file in tree.named("setup.py", "setup.cfg", "environment.yml", "environment.yaml"):
        _read_loose(project, file)
    return project


def project_name(project: Project) -> str:
    """The repository's name: what its package is called, else its directory."""
    section = project.pyproject
    named = section.get("project", {}).get("name") or section.get("tool", {}).get("poetry", {}).get("name")
    at_root = "/" not in project.pyproject_path
    return shown(named) if isinstance(named, str) and at_root and named.strip() else project.tree.name


def requirement(line: str) -> tuple[str, str] | None:
    """(name, version constraint) of a line of a requirements file."""
    text = line.split(" #", 1)[0].strip()
    if not text or text.startswith(("#", "-", "http:", "https:", "git+", ".", "/")):
        return None
    match = _NAME.match(text)
    return (match[1], match[3].strip()) if match else None


def normal(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read_pyproject(project: Project, file: File) -> None:
    text = project.text(file)
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        project.broken.append((file.path, f"invalid TOML: {error}"))
        return
    for path in _TABLES:
        if wrong := _emptied(found, path):
            project.broken.append((file.path, f"[{wrong}] is no table"))
    if not project.pyproject:
        project.pyproject, project.pyproject_path = found, file.path
    section = found.get("project", {})
    groups: list[tuple[Any, bool]] = [(section.get("dependencies", []), False)]
    optional = section.get("optional-dependencies", {})
    grouped = found.get("dependency-groups", {})
    for table in (optional, grouped):
        groups += [(names, True) for names in table.values()] if isinstance(table, dict) else []
    for names, is_optional in groups:
        for name in names if isinstance(names, list) else []:
            if isinstance(name, str) and (one := requirement(name)):
                line = _line_of(text, name)
                project.requirements.append(Requirement(one[0], one[1], file.path, line, is_optional))
    poetry = found.get("tool", {}).get("poetry", {}).get("dependencies", {})
    for name, pin in poetry.items() if isinstance(poetry, dict) else ():
        if name != "python":
            project.requirements.append(Requirement(name, str(pin), file.path, _line_of(text, name)))


#: Tables of pyproject.toml that are looked into.
_TABLES = (
    *("project.scripts", "project.entry-points", "project.optional-dependencies", "dependency-groups"),
    *("tool.poetry.dependencies", "tool.poetry.scripts", "tool.coverage.report"),
)


def _emptied(found: dict[str, Any], path: str) -> str:
    """Empty what should be a table and is none, so that others need not ask; its name, or nothing."""
    parts = path.split(".")
    for depth, part in enumerate(parts, start=1):
        if part not in found:
            return ""
        if not isinstance(found[part], dict):
            found[part] = {}
            return ".".join(parts[:depth])
        found = found[part]
    return ""


def _line_of(text: str, wanted: str) -> int:
    at = text.find(wanted)
    return text.count("\n", 0, at) + 1 if at >= 0 else 0


def _read_loose(project: Project, file: File) -> None:
    """Dependencies of setup.py (by its syntax tree), setup.cfg and conda's environment files."""
    text = project.text(file)
    try:
        names = _LOOSE[file.suffix](text)
    except (SyntaxError, ValueError, RecursionError, configparser.Error, yaml.YAMLError) as error:
        if file.suffix != ".py":  # a Python file that does not parse is told with the others
            project.broken.append((file.path, f"does not parse: {type(error).__name__}"))
        return
    for name in names:
        if one := requirement(name):
            project.requirements.append(Requirement(one[0], one[1], file.path, _line_of(text, name)))


def _of_setup_py(text: str) -> list[str]:
    """The texts within ``install_requires=`` and ``extras_require=``."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.keyword) and node.arg in ("install_requires", "extras_require"):
            keys = {id(key) for part in ast.walk(node) if isinstance(part, ast.Dict) for key in part.keys}
            parts = (part for part in ast.walk(node.value) if id(part) not in keys)
            found += [
                part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
    return found


def _of_setup_cfg(text: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    rows = [parser.get("options", "install_requires", fallback="")]
    if parser.has_section("options.extras_require"):
        rows += [value for _, value in parser.items("options.extras_require")]
    return [line.strip() for row in rows for line in re.split(r"[\n;]", row) if line.strip()]


def _of_environment(text: str) -> list[str]:
    """The ``dependencies`` of conda, those of its pip included; channels are none."""
    found: list[str] = []
    body = yaml.safe_load(text)
    rows = body.get("dependencies") if isinstance(body, dict) else None
    for row in rows if isinstance(rows, list) else []:
        pip = row.get("pip") if isinstance(row, dict) else None
        found += [one for one in (pip if isinstance(pip, list) else [row]) if isinstance(one, str)]
    return [name for name in found if name.partition("=")[0].strip() not in ("python", "pip")]


_LOOSE: dict[str, Callable[[str], list[str]]] = {
    ".py": _of_setup_py,
    ".cfg": _of_setup_cfg,
    ".yml": _of_environment,
    ".yaml": _of_environment,
}
