"""``torch.load`` that builds tensors and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.patches.calls import change_calls, last_name, with_keyword
from codex_ml.audit.patching import Edit, exact_text


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a file."""
    lines: dict[str, set[int]] = defaultdict(set)
    for one in audit.findings:
        if one.rule == "unsafe-load" and "torch.load" in one.message and "#" not in one.evidence.path:
            lines[one.evidence.path].add(one.evidence.line)
    for path, places in sorted(lines.items()):
        text = exact_text(audit.tree.root, path)
        changed = change_calls(text, places, _safe) if text is not None else None
        if text is not None and changed is not None:
            yield Edit(
                f"Load tensors alone in {path}",
                {path: (text, changed)},
                why="a checkpoint from elsewhere can run code when it is unpickled",
                risk="a file that holds other objects is refused; keep those as JSON beside it",
                validation="load an existing checkpoint; a pickled object in one must raise UnpicklingError",
                rule="unsafe-load",
            )


def _safe(cst: Any, call: Any) -> Any:
    if last_name(cst, call.func) != "load":
        return call
    return with_keyword(cst, call, "weights_only", "True")
