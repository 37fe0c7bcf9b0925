"""Images that run as root."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from codex_ml.audit.containers import Image, image_of
from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.tree import File


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    for file, image in images(index):
        if image.is_root:
            yield RULE.finding(
                (file.path, image.line), "the container runs as root", "add a user without rights and USER"
            )


def images(index: Index) -> Iterator[tuple[File, Image]]:
    """Each Dockerfile that a builder would take, as the image that is run."""
    for file in index.project.dockerfiles():
        image = image_of(index.project.text(file))
        if image is not None:
            yield file, image


RULE = Rule(
    "container-root", "medium", "Container as root", "One hole gives away what the host mounts.", tree=_tree
)
