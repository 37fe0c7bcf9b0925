"""A tracker whose store comes from the environment, and is sqlite otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.model import Finding
from codex_ml.audit.patch_context import Edit, PatchContext, lines_of, rewritten
from codex_ml.audit.patches.bindings import bound_at_the_top, rebinds
from codex_ml.audit.patches.places import put_first
from codex_ml.audit.rules.tracker_file_store import stores
from codex_ml.audit.source import Source

STORE = "sqlite:///mlflow.db"
VARIABLE = "CODEX_MLFLOW_URI"
#: They take a default for a variable of the environment: there it is chosen already.
_READS = frozenset({"get", "getenv", "setdefault", "pop", "get_env"})


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a file."""
    return rewritten(
        context,
        "tracker-file-store",
        from_environment,
        title="Tracking store from the environment in {path}",
        why="MLflow left its store of files; a default must work, and a site must be able to choose",
        risk="earlier runs stay in mlruns/: `mlflow migrate-filestore` brings them over",
        validation="with and without CODEX_MLFLOW_URI set, read a run back with MlflowClient",
    )


def from_environment(code: Code, source: Source, found: list[Finding]) -> str | None:
    """The text with the stores that were found replaced, and ``os`` imported before the first of them."""
    lines = lines_of(found)
    nodes = [one for one in stores(source) if one.lineno in lines and code.holds(one)]
    if not nodes or rebinds(source, "os"):
        return None
    defaults = {id(one) for one in _defaults(source)}
    changes: list[Change] = []
    for node in nodes:
        chosen = id(node) in defaults
        new = f'"{STORE}"' if chosen else f'os.environ.get("{VARIABLE}", "{STORE}")'
        changes.append(Change(*code.span(node), new))
    known = bound_at_the_top(source, "os")
    if (known is None or known > nodes[0].lineno) and any(id(one) not in defaults for one in nodes):
        put = put_first(code, source, ["import os"])
        if put is None:
            return None
        changes.append(put)
    return code.changed(changes)


def _defaults(source: Source) -> Iterator[ast.expr]:
    for call in source.calls:
        if call.last in _READS and len(call.node.args) > 1:
            yield call.node.args[1]
