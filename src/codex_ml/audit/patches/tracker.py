"""A tracker whose store comes from the environment, and is sqlite otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codex_ml.audit.audit import Audit
from codex_ml.audit.patching import Edit, lines_of, rewritten
from codex_ml.audit.source import Source
from codex_ml.audit.walk import parse

STORE = "sqlite:///mlflow.db"
VARIABLE = "CODEX_MLFLOW_URI"


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a file."""
    return rewritten(
        audit,
        "tracker-file-store",
        lambda path, text, found: from_environment(path, text, lines_of(found)),
        title="Tracking store from the environment in {path}",
        why="MLflow left its store of files; a default must work, and a site must be able to choose",
        risk="earlier runs stay in mlruns/: `mlflow migrate-filestore` brings them over",
        validation="with and without CODEX_MLFLOW_URI set, read a run back with MlflowClient",
    )


def from_environment(path: str, text: str, lines: set[int]) -> str | None:
    """The text with the constants on *lines* replaced, and ``os`` imported; None where none is found."""
    bare = text.removeprefix("\ufeff")
    source = parse(path, bare)
    rows = bare.split("\n")
    found = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.lineno in lines
        and node.value.startswith(("file:", "./mlruns", "mlruns"))
    ]
    for node in sorted(found, key=lambda one: (one.lineno, one.col_offset), reverse=True):
        if node.end_lineno != node.lineno:
            return None
        row = rows[node.lineno - 1].encode("utf-8")
        new = f'os.environ.get("{VARIABLE}", "{STORE}")'.encode()
        rows[node.lineno - 1] = (row[: node.col_offset] + new + row[node.end_col_offset :]).decode("utf-8")
    if not found:
        return None
    if not any(one.module == "os" and not one.owner for one in source.imports):
        at = first_import(source)
        rows.insert(at, "import os" + ("\r" if rows[at].endswith("\r") else ""))
    return text[: len(text) - len(bare)] + "\n".join(rows)


def first_import(source: Source) -> int:
    """The line index of the first import that is none of the future's; after the docstring without any."""
    body = source.tree.body
    for node in body:
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if isinstance(node, ast.Import | ast.ImportFrom) and not future:
            return node.lineno - 1
    kept = [node for node in body[:2] if isinstance(node, ast.ImportFrom | ast.Expr)]
    return (kept[-1].end_lineno or 0) if kept else 0
