"""Names on disk: ``checkpoints/step-00000100``, and ``.rN`` when a step was saved again."""

from __future__ import annotations

import re
from pathlib import Path

FORMAT = 1
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
#: With FSDP2: ``shards/model`` and ``shards/optimizer``, a file for each worker.
SHARDS = "shards"
_NAME = re.compile(r"^step-(\d{8,})(?:\.r(\d+))?$")


def name_of(step: int, revision: int) -> str:
    """The directory's name. A step is saved again when an evaluation adds to its state."""
    return f"step-{step:08d}" + (f".r{revision}" if revision else "")


def step_of(path: Path) -> int | None:
    """The step in a checkpoint's name, or None for another directory."""
    match = _NAME.match(path.name)
    return int(match.group(1)) if match else None


def revision_of(path: Path) -> int:
    match = _NAME.match(path.name)
    return int(match.group(2) or 0) if match else 0


def list_checkpoints(directory: Path) -> list[Path]:
    """Published checkpoints of a run, newest step first; not yet verified."""
    if not directory.is_dir():
        return []
    found = [path for path in directory.iterdir() if step_of(path) is not None and path.is_dir()]
    return sorted(found, key=lambda path: (step_of(path) or 0, revision_of(path)), reverse=True)
