"""Makers of patches, one file each, in the order in which the report shows what they make."""

from __future__ import annotations

from codex_ml.audit.patch_context import Maker
from codex_ml.audit.patches import (
    baseline,
    container,
    loader,
    markers,
    optional_import,
    resume,
    seed,
    tracker,
    weights_only,
    yaml_load,
)

MAKERS: tuple[Maker, ...] = (
    *(weights_only.make, yaml_load.make, resume.make, seed.make, loader.make, optional_import.make),
    *(tracker.make, markers.make, container.make, baseline.make),
)
