"""An optional package whose absence is told where it is used, and whose presence changes nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.model import Finding
from codex_ml.audit.patch_context import Edit, PatchContext, rewritten
from codex_ml.audit.patches.importing import used_while_importing
from codex_ml.audit.source import Source


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a module and package."""
    return rewritten(
        context,
        "optional-import",
        guarded,
        title="Guard the import of {symbols} in {path}",
        why="the module cannot be imported where {symbols} is absent, far from the cause",
        risk="the error comes at the first use instead of at the start",
        validation="hide {symbols} from the import system: importing must work, using must name it",
        by_symbol=True,
    )


def guarded(code: Code, source: Source, found: list[Finding]) -> str | None:
    """The text with a guard that catches the absence of this one module and nothing else.

    None where the import is more than ``import X`` or ``from X import name``, where it is not the only one of
    the package, or where a name is needed while the module is being imported (as a base class or default).
    """
    module, line = found[0].evidence.symbol, found[0].evidence.line
    imports = [one for one in source.imports if one.module.partition(".")[0] == module and not one.guarded]
    at_once = {id(one.node): one.node for one in imports if not one.owner}
    if len(at_once) != 1:
        return None
    (node,) = at_once.values()
    one = node.names[0]
    shared = any(
        other is not node and other.lineno <= (node.end_lineno or line) and (other.end_lineno or 0) >= line
        for other in source.tree.body
    )
    if node not in source.tree.body or shared or len(node.names) != 1 or one.name == "*":
        return None
    if isinstance(node, ast.Import) and "." in one.name and not one.asname:
        return None
    name = one.asname or one.name
    if name in used_while_importing(source):
        return None
    return code.changed(_guard(code, node, module, name))


def _guard(code: Code, node: ast.stmt, module: str, name: str) -> Iterator[Change]:
    """The import as it stands, within a ``try``; a comment behind it stays there."""
    last = node.end_lineno or node.lineno
    newline = code.newline(last)
    yield Change(code.line_start(node.lineno), code.line_start(node.lineno), f"try:{newline}    ")
    for line in range(node.lineno + 1, last + 1):
        yield Change(code.line_start(line), code.line_start(line), "    ")
    end = code.line_end(last)
    yield Change(end, end, "".join(newline + row for row in _absent(module, name)))


def _absent(module: str, name: str) -> list[str]:
    message = f"this needs {module}, which is not installed: pip install {module}"
    return [
        "except ModuleNotFoundError as error:",
        f'    if error.name != "{module}":',
        "        raise  # it is there and broken",
        "",
        "    class _Absent:",
        "        def _tell(self, *_given, **_named):",
        f'            raise ModuleNotFoundError("{message}", name="{module}")',
        "",
        "        __getattr__ = __call__ = __iter__ = __getitem__ = __enter__ = __contains__ = _tell",
        "        __instancecheck__ = __subclasscheck__ = __mro_entries__ = __or__ = __ror__ = _tell",
        "",
        f"    {name} = _Absent()",
    ]
