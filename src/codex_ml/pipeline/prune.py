"""Apply a retention policy to the checkpoints of a run, from outside training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from codex_ml.checkpointing import CheckpointManager, Retention
from codex_ml.checkpointing.listing import set_aside as list_aside
from codex_ml.checkpointing.retention import erase
from codex_ml.config.validate import decode_saved
from codex_ml.provenance.run_directory import RunDirectory


def prune_run(
    directory: RunDirectory, *, policy: Mapping[str, Any], set_aside: bool, dry_run: bool
) -> list[str]:
    """Names of what was (or would be) removed. The caller holds the run's lock.

    *policy* replaces parts of the run's own. Nothing goes before the newest checkpoint has been
    verified; raises CheckpointLoadError when none can be trusted.
    """
    record = directory.read()
    own = decode_saved(record["config"]).checkpoint
    manager = CheckpointManager(
        directory.checkpoints,
        policy=Retention.of(dataclasses.replace(own, **policy)),
        owner={"run_id": str(record["run_id"])},
    )
    newest = manager.newest_good(set_aside=not dry_run)
    if newest is not None and not dry_run:
        manager.point_latest(newest)
    gone = manager.apply_retention(dry_run=dry_run) if newest is not None else []
    for path in list_aside(directory.checkpoints) if set_aside else []:
        gone.append(path.name)
        if not dry_run:
            erase(path)
    return gone
