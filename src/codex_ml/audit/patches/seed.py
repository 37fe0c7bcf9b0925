"""An entry point that seeds every generator before anything draws."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codex_ml.audit.audit import Audit
from codex_ml.audit.patching import Edit, rewritten
from codex_ml.audit.source import Source
from codex_ml.audit.walk import parse

_FUNCTION = "seed_everything"


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a program that starts with a main block."""
    return rewritten(
        audit,
        "unseeded-entry",
        lambda path, text, _found: seeded(path, text),
        title="Seed the entry point {path}",
        why="no run of it can be repeated",
        risk="results are others than before; the seed wants to come from the config",
        validation="two runs of one seed must give the same loss at every step",
    )


def seeded(path: str, text: str) -> str | None:
    """The text with a function that seeds, called where the program starts; None without such a place."""
    source = parse(path, text.removeprefix("\ufeff"))
    start = _start(source)
    if start is None:
        return None
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")
    column = start.col_offset
    lines.insert(start.lineno - 1, " " * column + f"{_FUNCTION}(0)" + end.rstrip("\n"))
    body = [line + end.rstrip("\n") for line in _definition(source)]
    at = _before_main(source)
    lines[at:at] = body
    return "\n".join(lines)


def _start(source: Source) -> ast.stmt | None:
    """The first statement of the main block."""
    for node in source.tree.body:
        if isinstance(node, ast.If) and node.lineno == source.main:
            return node.body[0]
    return None


def _before_main(source: Source) -> int:
    """The line index of the main block, where a definition may stand."""
    return source.main - 1


def _definition(source: Source) -> list[str]:
    """The function, for the libraries that the file imports."""
    modules = {one.module.partition(".")[0] for one in source.imports}
    body = ["import random", ""]
    seeds = ["random.seed(seed)"]
    for module, call in (("numpy", "numpy.random.seed(seed)"), ("torch", "torch.manual_seed(seed)")):
        if module in modules:
            body.insert(-1, f"import {module}")
            seeds.append(call)
    indented = [f"    {line}" if line else "" for line in [*body, *seeds]]
    doc = '    """Seed every generator that this program draws from."""'
    return [f"def {_FUNCTION}(seed: int) -> None:", doc, *indented, "", ""]
