"""Images that start nothing, or something that takes no arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.rules.container_root import images


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    for file, image in images(index):
        if image.last("ENTRYPOINT") is None:
            only = image.last("CMD") is not None
            said = "has CMD and no ENTRYPOINT: arguments replace the program" if only else "starts nothing"
            yield RULE.finding(
                (file.path, image.line), f"the image {said}", "set ENTRYPOINT to the command line"
            )


RULE = Rule(
    "container-entrypoint",
    "medium",
    "Image without ENTRYPOINT",
    "It does not start what it is for.",
    tree=_tree,
)
