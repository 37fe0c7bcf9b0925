"""A loader whose order hangs on a seed of its own."""

from __future__ import annotations

from collections.abc import Iterator

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.model import Finding
from codex_ml.audit.patch_context import Edit, PatchContext, lines_of, rewritten
from codex_ml.audit.patches.bindings import bound_at_the_top, rebinds
from codex_ml.audit.patches.calls import with_keyword
from codex_ml.audit.rules.unseeded_loader import unseeded
from codex_ml.audit.source import Source

_SEED = "0"


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a file."""
    return rewritten(
        context,
        "unseeded-loader",
        seed,
        title="Seed the order of samples in {path}",
        why="another draw before the loader changes its order, and no run can be repeated",
        risk="the order of samples is another one from now on; seed 0 wants to come from the config",
        validation="two loaders of one seed must give the same batches",
    )


def seed(code: Code, source: Source, found: list[Finding]) -> str | None:
    """The text with what seeds the calls that were found; a generator where the name torch is known."""
    lines = lines_of(found)
    known = bound_at_the_top(source, "torch") is not None and not rebinds(source, "torch")
    changes: list[Change] = []
    for call in source.calls:
        missing = unseeded(call) if call.line in lines else None
        if missing is None or (missing.option == "generator" and not known):
            continue
        value = f"torch.Generator().manual_seed({_SEED})" if missing.option == "generator" else _SEED
        changes += with_keyword(code, call.node, missing.option, value) or []
    return code.changed(changes)
