"""A loader whose order hangs on a seed of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.audit.patches.calls import change_calls, last_name, with_keyword
from codex_ml.audit.patching import Edit, lines_of, rewritten
from codex_ml.audit.walk import parse

_SEED = "0"


def make(audit: Audit) -> Iterator[Edit]:
    """One patch a file."""
    return rewritten(
        audit,
        "unseeded-loader",
        lambda path, text, found: seed(path, text, lines_of(found)),
        title="Seed the order of samples in {path}",
        why="another draw before the loader changes its order, and no run can be repeated",
        risk="the order of samples is another one from now on; seed 0 wants to come from the config",
        validation="two loaders of one seed must give the same batches",
    )


def seed(path: str, text: str, lines: set[int]) -> str | None:
    """The text with a seeded generator, or ``random_state`` and ``seed``, at the calls on *lines*."""
    source = parse(path, text.removeprefix("\ufeff"))
    torch = any(one.module == "torch" and not one.name and not one.owner for one in source.imports)

    def change(cst: Any, call: Any) -> Any:
        name = last_name(cst, call.func)
        given = {one.keyword.value for one in call.args if one.keyword is not None}
        if name in ("DataLoader", "random_split") and torch and "generator" not in given:
            return with_keyword(cst, call, "generator", f"torch.Generator().manual_seed({_SEED})")
        if name == "train_test_split" and isinstance(call.func, cst.Name) and "random_state" not in given:
            return with_keyword(cst, call, "random_state", _SEED)
        if name in ("train_test_split", "shuffle") and not given & {"seed", "generator", "random_state"}:
            return with_keyword(cst, call, "seed", _SEED)
        return call

    return change_calls(text, lines, change)
