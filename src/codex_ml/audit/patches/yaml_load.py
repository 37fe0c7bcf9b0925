"""YAML that builds plain values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.patches.calls import change_calls, dotted_name
from codex_ml.audit.patching import Edit, lines_of, rewritten


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a file."""
    return rewritten(
        audit,
        "unsafe-yaml",
        lambda _path, text, found: change_calls(text, lines_of(found), _safe),
        title="Safe YAML in {path}",
        why="tags in a file make the loader import and call what they name",
        risk="a file that uses Python tags is refused",
        validation="load the project's own YAML files",
    )


def _safe(cst: Any, call: Any) -> Any:
    if dotted_name(cst, call.func) not in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"):
        return call
    first = call.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return call.with_changes(func=call.func.with_changes(attr=cst.Name("safe_load")), args=[first])
