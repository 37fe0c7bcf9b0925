"""One line of facts for each run of a workspace."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from codex_ml.errors import IntegrityError
from codex_ml.provenance.run_directory import RunDirectory, list_runs

log = logging.getLogger(__name__)


def list_summaries(runs: Path) -> list[dict[str, Any]]:
    """Every run by name, with its state: finished, trained, unfinished (started or interrupted), damaged."""
    return [_summary(RunDirectory(runs / name)) for name in list_runs(runs)]


def _summary(directory: RunDirectory) -> dict[str, Any]:
    try:
        record = directory.read()
    except IntegrityError as error:
        log.warning("%s", error)
        empty = dict.fromkeys(("steps", "created", "loss", "bits_per_byte", "weights_sha256"))
        return {"run": directory.name, "state": "damaged", "step": 0, **empty}
    result = record.get("result") or {}
    metrics = result.get("metrics", {})
    step = directory.newest_step()
    planned = record["config"]["train"]["steps"]
    state = "finished" if result else "trained" if step >= planned else "unfinished"
    return {
        "run": directory.name,
        "state": state,
        "step": step,
        "steps": planned,
        "created": record["created"],
        "loss": metrics.get("loss"),
        "bits_per_byte": metrics.get("bits_per_byte"),
        "weights_sha256": result.get("weights_sha256"),
    }
