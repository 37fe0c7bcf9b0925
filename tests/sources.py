"""Read the sources of the project as syntax trees: what they import and what they call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
PACKAGE = SRC / "codex_ml"


class Import(NamedTuple):
    """One imported module and where."""

    module: str
    file: Path
    line: int
    when: str  # "import", "call" (inside a function) or "typing" (for type checkers only)

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def owner(path: Path) -> str:
    """The package or root module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(node: ast.AST) -> str:
    """``torch.load`` for the expression torch.load; empty for anything that is no dotted name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and dotted(node.test).split(".")[-1] == "TYPE_CHECKING"


def imports(path: Path, *, module: ast.Module | None = None) -> list[Import]:
    """Every import of a file, also inside functions; a door like require("x") counts as one."""
    return list(_imports(module or tree(path), path, when="import"))


def _imports(node: ast.AST, path: Path, *, when: str) -> Iterator[Import]:
    inner = when
    if _type_checking(node):
        inner = "typing"
    elif when == "import" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        inner = "call"
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, path, node.lineno, when)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            # `from codex_ml import cli` names a package, `from codex_ml.cli import app` a member.
            yield Import(f"{node.module}.{alias.name}", path, node.lineno, when)
    elif isinstance(node, ast.Call) and (name := _door(node)):
        yield Import(name, path, node.lineno, when)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, path, when=inner)


def _door(call: ast.Call) -> str:
    """The module that require("x") or import_module("x") loads; empty for every other call."""
    if dotted(call.func).split(".")[-1] not in ("require", "import_module") or not call.args:
        return ""
    first = call.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def calls(module: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module) if isinstance(node, ast.Call))
