"""``torch.load`` that builds tensors and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.model import Finding
from codex_ml.audit.patch_context import Edit, PatchContext, lines_of, rewritten
from codex_ml.audit.patches.calls import with_keyword
from codex_ml.audit.rules.unsafe_load import CALLERS, is_unsafe_torch_load
from codex_ml.audit.source import Call, Source

#: They hand a keyword on to the function that they are given.
_HAND_ON = frozenset({"partial", "submit", "to_thread"})


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a file."""
    return rewritten(
        context,
        "unsafe-load",
        weights_only,
        title="Load tensors alone in {path}",
        why="a checkpoint from elsewhere can run code when it is unpickled",
        risk="a file that holds other objects is refused; keep those as JSON beside it",
        validation="load an existing checkpoint; a pickled object in one must raise UnpicklingError",
    )


def weights_only(code: Code, source: Source, found: list[Finding]) -> str | None:
    """The text with ``weights_only=True`` in the calls that were found; none that has a pickle module."""
    lines = lines_of(found)
    changes: list[Change] = []
    for call in source.calls:
        if call.line in lines and is_unsafe_torch_load(source, call) and _takes(call):
            changes += with_keyword(code, call.node, "weights_only", "True") or []
    return code.changed(changes)


def _takes(call: Call) -> bool:
    """Whether the option gets to ``torch.load``, which refuses it beside a pickle module."""
    return (call.last not in CALLERS or call.last in _HAND_ON) and not call.has("pickle_module")
