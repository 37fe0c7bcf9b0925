"""Find, verify and load checkpoints; the newest good one wins."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.core.publish import read_json, verify_directory, write_file
from codex_ml.errors import CheckpointLoadError, IntegrityError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
FORMAT = 1
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
_NAME = re.compile(r"^step-(\d{8})(?:\.r\d+)?$")


def step_of(path: Path) -> int | None:
    """The step in a checkpoint's name, or None for another directory."""
    match = _NAME.match(path.name)
    return int(match.group(1)) if match else None


def list_checkpoints(directory: Path) -> list[Path]:
    """Published checkpoints of a run, newest step first; not yet verified."""
    if not directory.is_dir():
        return []
    found = [path for path in directory.iterdir() if path.is_dir() and step_of(path) is not None]
    return sorted(found, key=lambda path: (step_of(path), path.name), reverse=True)


@dataclass(frozen=True)
class Checkpoint:
    """One verified checkpoint."""

    path: Path
    manifest: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.manifest["step"])

    @property
    def weights(self) -> str:
        """The weights digest."""
        return str(self.manifest["weights_sha256"])

    def state(self) -> dict[str, Any]:
        """Everything of the training state that is no tensor."""
        state: dict[str, Any] = read_json(self.path / STATE)
        return state

    def model_tensors(self) -> dict[str, Tensor]:
        return _load(self.path / MODEL)

    def optimizer_tensors(self) -> dict[str, Tensor]:
        return _load(self.path / OPTIMIZER)


def open_checkpoint(path: Path) -> Checkpoint:
    """Verify every byte of one checkpoint directory.

    Raises CheckpointLoadError when it does not exist, is damaged, or is of a newer format.
    """
    if not path.is_dir():
        raise CheckpointLoadError(
            "there is no such checkpoint",
            code="checkpoint.missing",
            got=path,
            next_step="look into runs/NAME/checkpoints",
        )
    try:
        manifest = verify_directory(path)
        weights = weights_digest(path / MODEL) if manifest.get("format") == FORMAT else None
    except IntegrityError as error:
        raise CheckpointLoadError(error.what, code="checkpoint.damaged", next_step=error.next_step) from error
    except FileNotFoundError as error:  # a manifest that fits a directory without weights
        raise CheckpointLoadError(f"{path} is damaged: {error}", code="checkpoint.damaged") from error
    if manifest.get("format") != FORMAT:
        raise CheckpointLoadError(
            f"{path} is of another checkpoint format",
            code="checkpoint.format",
            got=manifest.get("format"),
            wanted=FORMAT,
            next_step="use the version of codex-ml that wrote it",
        )
    if weights != manifest.get("weights_sha256"):
        raise CheckpointLoadError(
            f"{path}: the weights are not those of the manifest", code="checkpoint.weights"
        )
    return Checkpoint(path, manifest)


def newest_good(
    directory: Path, *, set_aside: bool, report: Callable[[str], None] = log.warning
) -> Checkpoint | None:
    """The newest checkpoint that verifies; bad ones are reported.

    With *set_aside*, for who holds the run's lock, bad ones are moved away with their reason.

    None when the run has no checkpoint yet. Raises CheckpointLoadError, listing every reason, when
    it has some and none is good; then nothing is moved.
    """
    bad: list[tuple[Path, CheckpointLoadError]] = []
    for path in list_checkpoints(directory):
        try:
            good = open_checkpoint(path)
        except CheckpointLoadError as error:
            bad.append((path, error))
            continue
        for damaged, reason in bad:
            if set_aside:
                _set_aside(damaged, reason)
            lost = (step_of(damaged) or good.step) - good.step
            report(f"{reason.what}; left out, using step {good.step} ({lost} steps earlier)")
        return good
    if bad:
        raise CheckpointLoadError(
            "no checkpoint of this run can be trusted",
            code="checkpoint.none",
            got="; ".join(error.what for _, error in bad),
            next_step="restore one from a backup, or start again with --fresh (which keeps this directory)",
        )
    return None


def _set_aside(path: Path, error: CheckpointLoadError) -> None:
    target = path.with_name(f".corrupt-{path.name}-{uuid.uuid4().hex[:8]}")
    os.rename(path, target)
    write_file(target / "REASON.txt", error.line() + "\n")


def _load(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = load_file(path)
    return tensors
