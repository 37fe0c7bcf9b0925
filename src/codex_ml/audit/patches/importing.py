"""What a module uses while it is being imported, before anybody has called anything of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from codex_ml.audit.source import Function, Source

_LATER = (ast.FunctionDef, ast.AsyncFunctionDef)


def used_while_importing(source: Source) -> set[str]:
    """Names that importing the module reads; those in functions that it calls itself are among them."""
    functions = {one.name: one for one in source.tree.body if isinstance(one, _LATER)}
    classes = {one.name: one for one in source.tree.body if isinstance(one, ast.ClassDef)}
    body = [one for one in source.tree.body if one.lineno != source.main]
    lazy = any(one.module == "__future__" and one.name == "annotations" for one in source.imports)
    used = set(_names(body, lazy=lazy))
    todo = list(used)
    while todo:
        name = todo.pop()
        bodies = [functions.pop(name)] if name in functions else []
        bodies += (
            [one for one in classes.pop(name).body if isinstance(one, _LATER)] if name in classes else []
        )
        fresh = {found for one in bodies for found in _names(one.body, lazy=lazy)} - used
        used |= fresh
        todo += fresh
    return used


def _names(nodes: Sequence[ast.AST], *, lazy: bool) -> Iterator[str]:
    """Names that running *nodes* reads; what stands in functions is run later."""
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, _LATER):
            todo += _early(node, lazy=lazy)
        elif isinstance(node, ast.Lambda):
            todo += _defaults(node.args)
        elif isinstance(node, ast.AnnAssign) and lazy:
            todo += [node.target, *([node.value] if node.value is not None else [])]
        else:
            todo += ast.iter_child_nodes(node)


def _early(node: Function, *, lazy: bool) -> list[ast.expr]:
    """What defining a function runs: decorators, defaults, and annotations unless they are put off."""
    found = [*node.decorator_list, *_defaults(node.args)]
    if lazy:
        return found
    every = [
        *node.args.posonlyargs,
        *node.args.args,
        *node.args.kwonlyargs,
        node.args.vararg,
        node.args.kwarg,
    ]
    annotations = [one.annotation for one in every if one is not None]
    return [*found, *(one for one in (*annotations, node.returns) if one is not None)]


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
