"""What a patch may count on: a module that the file binds at its top, a name that nothing else takes."""

from __future__ import annotations

import ast

from codex_ml.audit.source import Source


def bound_at_the_top(source: Source, module: str) -> int | None:
    """The line on which the module itself binds the name *module* to that module, wherever it is used."""
    lines = [
        statement.lineno
        for statement in source.tree.body
        if isinstance(statement, ast.Import)
        and any(
            (one.name.partition(".")[0] == module and one.asname is None)
            or (one.name == module and one.asname == module)
            for one in statement.names
        )
    ]
    return min(lines, default=None)


def rebinds(source: Source, name: str) -> bool:
    """Whether anything but an import gives *name* a meaning: a variable, parameter, function or class."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name):
            if node.id == name and not isinstance(node.ctx, ast.Load):
                return True
        elif isinstance(node, ast.arg):
            if node.arg == name:
                return True
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == name:
                return True
        elif isinstance(node, ast.Import | ast.ImportFrom):
            other = (one for one in node.names if (one.asname or one.name.partition(".")[0]) == name)
            if any(isinstance(node, ast.ImportFrom) or one.name.partition(".")[0] != name for one in other):
                return True
    return False
