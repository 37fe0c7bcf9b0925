"""Where a statement may be put that everything in a module follows."""

from __future__ import annotations

import ast

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.source import Source


def first_statement(source: Source) -> ast.stmt | None:
    """The first statement of a module behind its docstring and the imports of the future."""
    body = (
        source.tree.body[1:] if ast.get_docstring(source.tree, clean=False) is not None else source.tree.body
    )
    return next(
        (one for one in body if not (isinstance(one, ast.ImportFrom) and one.module == "__future__")), None
    )


def put_first(code: Code, source: Source, rows: list[str]) -> Change | None:
    """*rows* before the first statement, lines of their own; None where that shares its line."""
    node = first_statement(source)
    if node is None:
        return None
    line = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    before = [one for one in source.tree.body if one.lineno < node.lineno and (one.end_lineno or 0) >= line]
    if before or code.line(line)[:1] in (" ", "\t", "\f", ";"):
        return None
    at, newline = code.line_start(line), code.newline(line)
    return Change(at, at, "".join(row + newline for row in rows))


def put_behind(code: Code, source: Source, line: int, rows: list[str]) -> Change | None:
    """*rows* behind the statement on *line*, lines of their own; None where another begins on its last."""
    node = next(one for one in source.tree.body if one.lineno == line)
    last = node.end_lineno or line
    if any(one is not node and last in (one.lineno, one.end_lineno) for one in source.tree.body):
        return None
    at, newline = code.line_end(last), code.newline(last)
    return Change(at, at, "".join(newline + row for row in rows))
