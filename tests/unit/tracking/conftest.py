"""A context for trackers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.tracking.context import TrackerContext

FACTS = {"commit": "c" * 40, "dirty": "False", "seed": "0", "grade": "bitwise"}


@pytest.fixture
def context_for(config_of: Callable[..., Any], tmp_path: Path) -> Callable[..., TrackerContext]:
    """``context_for("tracking.queue=5", resume_step=3)``: the run ``runs/tiny`` of a test."""
    from codex_ml.tracking.opening import context_of

    def build(*words: str, **options: Any) -> TrackerContext:
        directory = tmp_path / "runs" / "tiny"
        directory.mkdir(parents=True, exist_ok=True)
        given = {"resume_step": 0, "facts": FACTS, "run_id": "5f0c" * 8, **options}
        return context_of(config_of(*words), directory=directory, **given)

    return build
