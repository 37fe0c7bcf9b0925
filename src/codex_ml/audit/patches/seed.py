"""An entry point that seeds every generator before anything draws."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.model import Finding
from codex_ml.audit.patch_context import Edit, PatchContext, rewritten
from codex_ml.audit.source import Source

_FUNCTION = "seed_everything"
#: A generator, and the packages that draw from it.
_DRAWS = (
    ("numpy", "numpy.random.seed(seed)", frozenset({"numpy", "sklearn", "pandas", "scipy"})),
    (
        "torch",
        "torch.manual_seed(seed)",
        frozenset({"torch", "torchvision", "transformers", "accelerate", "lightning", "pytorch_lightning"}),
    ),
)


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a program that starts with a main block."""
    return rewritten(
        context,
        "unseeded-entry",
        seeded,
        title="Seed the entry point {path}",
        why="no run of it can be repeated",
        risk="results are others than before; the seed wants to come from the config",
        validation="two runs of one seed must give the same loss at every step",
    )


def seeded(code: Code, source: Source, _found: list[Finding]) -> str | None:
    """The text with a function that seeds, called where the program starts; None without such a place."""
    main = next((one for one in source.tree.body if one.lineno == source.main), None)
    if not isinstance(main, ast.If):
        return None
    start = main.body[0]
    taken = {one.name for one in source.definitions} | {
        alias.asname or alias.name for one in source.imports for alias in one.node.names
    }
    name = _FUNCTION if _FUNCTION not in taken else f"{_FUNCTION}_here"
    if name in taken:
        return None
    at = code.line_start(main.lineno)
    newline = code.newline(main.lineno)
    definition = "".join(line + newline for line in _definition(source, name))
    return code.changed([Change(at, at, definition), _call(code, start, main, f"{name}(0)")])


def _call(code: Code, start: ast.stmt, main: ast.If, text: str) -> Change:
    """*text* before the first statement of the block, on a line of its own where that has one."""
    decorators = getattr(start, "decorator_list", [])
    first = min([start.lineno, *(one.lineno for one in decorators)])
    begins, at = code.line_start(first), code.span(start)[0]
    if first == main.lineno or (not decorators and code.text[begins:at].strip(" \t")):
        return Change(at, at, f"{text}; ")
    row = code.line(first)
    indent = row[: len(row) - len(row.lstrip())]
    return Change(begins, begins, indent + text + code.newline(first))


def _definition(source: Source, name: str) -> list[str]:
    """The function, for the libraries that the file imports."""
    modules = {one.module.partition(".")[0] for one in source.imports}
    body = ["import random", ""]
    seeds = ["random.seed(seed)"]
    for module, call, packages in _DRAWS:
        if not packages.isdisjoint(modules):
            body.insert(-1, f"import {module}")
            seeds.append(call)
    indented = [f"    {line}" if line else "" for line in [*body, *seeds]]
    doc = '    """Seed every generator that this program draws from."""'
    return [f"def {name}(seed: int) -> None:", doc, *indented, "", ""]
