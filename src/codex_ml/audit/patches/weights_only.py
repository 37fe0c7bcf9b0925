"""``torch.load`` that builds tensors and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.model import Finding
from codex_ml.audit.patches.calls import change_calls, last_name, with_keyword
from codex_ml.audit.patching import Edit, lines_of, rewritten


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a file."""
    return rewritten(
        audit,
        "unsafe-load",
        _load,
        title="Load tensors alone in {path}",
        why="a checkpoint from elsewhere can run code when it is unpickled",
        risk="a file that holds other objects is refused; keep those as JSON beside it",
        validation="load an existing checkpoint; a pickled object in one must raise UnpicklingError",
    )


def _load(_path: str, text: str, found: list[Finding]) -> str | None:
    return change_calls(text, lines_of([one for one in found if "torch.load" in one.message]), _safe)


def _safe(cst: Any, call: Any) -> Any:
    if last_name(cst, call.func) != "load":
        return call
    return with_keyword(cst, call, "weights_only", "True")
