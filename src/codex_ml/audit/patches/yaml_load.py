"""YAML that builds plain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.patches.calls import change_calls, dotted_name
from codex_ml.audit.patching import Edit, exact_text


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a file."""
    lines: dict[str, set[int]] = defaultdict(set)
    for one in audit.findings:
        if one.rule == "unsafe-yaml" and "#" not in one.evidence.path:
            lines[one.evidence.path].add(one.evidence.line)
    for path, places in sorted(lines.items()):
        text = exact_text(audit.tree.root, path)
        changed = change_calls(text, places, _safe) if text is not None else None
        if text is not None and changed is not None:
            yield Edit(
                f"Safe YAML in {path}",
                {path: (text, changed)},
                why="tags in a file make the loader import and call what they name",
                risk="a file that uses Python tags is refused",
                validation="load the project's own YAML files",
                rule="unsafe-yaml",
            )


def _safe(cst: Any, call: Any) -> Any:
    if dotted_name(cst, call.func) not in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"):
        return call
    first = call.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return call.with_changes(func=call.func.with_changes(attr=cst.Name("safe_load")), args=[first])
