"""An optional package whose absence is told where it is used, and whose presence changes nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codex_ml.audit.audit import Audit
from codex_ml.audit.patching import Edit, rewritten
from codex_ml.audit.source import Source, dotted
from codex_ml.audit.walk import parse


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a module and package."""
    return rewritten(
        audit,
        "optional-import",
        lambda path, text, found: guarded(path, text, found[0].evidence.symbol, found[0].evidence.line),
        title="Guard the import of {symbols} in {path}",
        why="the module cannot be imported where {symbols} is absent, far from the cause",
        risk="the error comes at the first use instead of at the start",
        validation="hide {symbols} from the import system: importing must work, using must name it",
        by_symbol=True,
    )


def guarded(path: str, text: str, module: str, line: int) -> str | None:
    """The text with a guard that catches the absence of this one module and nothing else.

    None where the import is more than ``import X`` or ``from X import name``, or where a name is needed while
    the module is being imported (as a base class, decorator or default).
    """
    source = parse(path, text.removeprefix("\ufeff"))
    node = next((one.node for one in source.imports if one.line == line and not one.owner), None)
    if node is None or len(node.names) != 1 or node.col_offset or node.names[0].name == "*":
        return None
    one = node.names[0]
    name = one.asname or (one.name.partition(".")[0] if isinstance(node, ast.Import) else one.name)
    if _needed_at_once(source, name) or (isinstance(node, ast.Import) and "." in one.name and not one.asname):
        return None
    lines = text.split("\n")
    end = "\r" if lines[line - 1].endswith("\r") else ""
    statement = [part.rstrip("\r") for part in lines[line - 1 : node.end_lineno]]
    block = ["try:", *(f"    {part}" for part in statement), *_absent(module, name)]
    lines[line - 1 : node.end_lineno] = [part + end for part in block]
    return "\n".join(lines)


def _absent(module: str, name: str) -> list[str]:
    message = f"this needs {module}, which is not installed: pip install {module}"
    return [
        "except ModuleNotFoundError as error:",
        f'    if error.name != "{module}":',
        "        raise  # it is there and broken",
        "",
        "    class _Absent:",
        "        def __getattr__(self, _name):",
        f'            raise ModuleNotFoundError("{message}", name="{module}")',
        "",
        "        __call__ = __getattr__",
        "",
        f"    {name} = _Absent()",
    ]


def _needed_at_once(source: Source, name: str) -> bool:
    """Whether importing the module itself uses the name."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            early: list[ast.expr] = [*node.bases, *node.decorator_list]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            annotations = [] if _lazy_annotations(source) else [one.annotation for one in node.args.args]
            early = [
                *node.decorator_list,
                *node.args.defaults,
                *(one for one in annotations if one is not None),
            ]
        else:
            continue
        if any(dotted(one).partition(".")[0].removesuffix("()") == name for one in early):
            return True
    return any(
        _uses(one, name) for one in source.tree.body if isinstance(one, ast.Assign | ast.Expr | ast.AnnAssign)
    )


def _uses(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


def _lazy_annotations(source: Source) -> bool:
    return any(one.module == "__future__" and one.name == "annotations" for one in source.imports)
