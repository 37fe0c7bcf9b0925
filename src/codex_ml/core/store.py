"""Content-addressed store entries: found and verified, or built once under a lock."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codex_ml.core.publish import MANIFEST, exclusive, read_json, staged, verify_directory, writing
from codex_ml.errors import IntegrityError

log = logging.getLogger(__name__)

#: Fills the staging directory; what it adds to the mapping goes into the manifest.
Builder = Callable[[Path, dict[str, Any]], None]


def find_or_build(directory: Path, *, build: Builder, meta: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the verified entry *directory*, built first when it is absent.

    *directory* is named by a digest of all that decides its content. A damaged entry is named in a
    warning, moved to ``<name>.damaged-…`` and built anew. Builders of one entry wait for each other.
    """
    if directory.exists():
        try:
            return verify_directory(directory)
        except IntegrityError:
            pass  # judged again under the lock: another process may be replacing it right now
    with exclusive(lock_path(directory)):
        if directory.exists():
            try:
                return verify_directory(directory)
            except IntegrityError as error:
                _quarantine(directory, error)
        _sweep(directory)
        with staged(directory, meta=meta) as stage:
            build(stage, meta)
        manifest: dict[str, Any] = read_json(directory / MANIFEST)
        return manifest


def lock_path(directory: Path) -> Path:
    """The lock file of an entry, outside the entry so that moving the one leaves the other."""
    return directory.parent.parent / "locks" / f"{directory.parent.name}-{directory.name}"


def _quarantine(directory: Path, error: IntegrityError) -> None:
    aside = directory.with_name(f"{directory.name}.damaged-{uuid.uuid4().hex[:8]}")
    log.warning("damaged store entry moved to %s and built anew: %s", aside.name, error.what)
    with writing(directory):
        os.rename(directory, aside)


def _sweep(directory: Path) -> None:
    """Remove stages of this entry that a killed builder left; the caller holds the entry's lock."""
    for stale in directory.parent.glob(f".tmp-{directory.name}-*"):
        shutil.rmtree(stale, ignore_errors=True)
