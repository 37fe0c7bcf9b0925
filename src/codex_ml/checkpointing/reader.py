"""Find, verify and load checkpoints; the newest good one wins."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.checkpointing.layout import FORMAT, MODEL, OPTIMIZER, STATE, list_checkpoints, step_of
from codex_ml.core.publish import read_json, verify_directory, write_file
from codex_ml.errors import CheckpointLoadError, IntegrityError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


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

    @property
    def sharded(self) -> bool:
        """Whether the tensors lie in a file for each worker."""
        return bool(self.manifest.get("sharded"))

    def state(self) -> dict[str, Any]:
        """Everything of the training state that is no tensor."""
        state: dict[str, Any] = read_json(self.path / STATE)
        return state

    def model_tensors(self) -> dict[str, Tensor]:
        return read_tensors(self.path / MODEL)

    def optimizer_tensors(self) -> dict[str, Tensor]:
        return read_tensors(self.path / OPTIMIZER)


def open_checkpoint(path: Path, *, owner: Mapping[str, str] | None = None) -> Checkpoint:
    """Verify every byte of one checkpoint directory.

    Raises CheckpointLoadError when it does not exist, is damaged, is of a newer format, stands under
    another step's name, or belongs to another *owner*.
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
        _check_format(path, manifest)
        # Shards are bound by their files' digests; their whole tensors exist nowhere on the disk.
        whole = (
            () if manifest.get("sharded") else ((MODEL, "weights_sha256"), (OPTIMIZER, "optimizer_sha256"))
        )
        odd = [part for part, name in whole if weights_digest(path / part) != manifest.get(name)]
    except IntegrityError as error:
        if isinstance(error, CheckpointLoadError):
            raise
        raise CheckpointLoadError(error.what, code="checkpoint.damaged", next_step=error.next_step) from error
    except OSError as error:  # a bad sector, a file that is not there, no permission
        raise CheckpointLoadError(f"{path} cannot be read: {error}", code="checkpoint.damaged") from error
    if odd:
        raise CheckpointLoadError(
            f"{path}: the tensors of {odd[0]} are not those of the manifest", code="checkpoint.weights"
        )
    _check_place(path, manifest, owner or {})
    return Checkpoint(path, manifest)


def _check_format(path: Path, manifest: Mapping[str, Any]) -> None:
    if manifest.get("format") != FORMAT:
        raise CheckpointLoadError(
            f"{path} is of another checkpoint format",
            code="checkpoint.format",
            got=manifest.get("format"),
            wanted=FORMAT,
            next_step="use the version of codex-ml that wrote it",
        )


def _check_place(path: Path, manifest: Mapping[str, Any], owner: Mapping[str, str]) -> None:
    named = step_of(path)
    if named is not None and named != manifest.get("step"):
        raise CheckpointLoadError(
            f"{path} holds another step than its name says",
            code="checkpoint.step",
            got=manifest.get("step"),
            wanted=named,
        )
    written_by = manifest.get("owner", {})
    other = [name for name, value in owner.items() if written_by.get(name) != value]
    if other:
        raise CheckpointLoadError(
            f"{path} was written by another run",
            code="checkpoint.owner",
            got=f"{other[0]}={written_by.get(other[0])}",
            wanted=owner[other[0]],
            next_step=f"start a new run from its weights: train.init_from={path} for a model that was made "
            f"here; after fine-tuning model.path={path.parent.parent / 'export'}, or model.lora.path="
            f"{path.parent.parent / 'export' / 'adapter'} over the same base",
        )


def newest_good(
    directory: Path,
    *,
    set_aside: bool,
    owner: Mapping[str, str] | None = None,
    report: Callable[[str], None] = log.warning,
) -> Checkpoint | None:
    """The newest checkpoint that verifies; bad ones are reported.

    With *set_aside*, for who holds the run's lock, bad ones are moved away with their reason.

    None when the run has no checkpoint yet. Raises CheckpointLoadError, listing every reason, when
    it has some and none is good; then nothing is moved.
    """
    bad: list[tuple[Path, CheckpointLoadError]] = []
    for path in list_checkpoints(directory):
        try:
            _refuse_link(path)
            good = open_checkpoint(path, owner=owner)
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


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise CheckpointLoadError(
            f"{path} is a symbolic link and not a checkpoint", code="checkpoint.link", got=path.readlink()
        )


def _set_aside(path: Path, error: CheckpointLoadError) -> None:
    target = path.with_name(f".corrupt-{path.name}-{uuid.uuid4().hex[:8]}")
    os.rename(path, target)
    # What a link points to is not ours to write into.
    reason = target.with_name(f"{target.name}.txt") if target.is_symlink() else target / "REASON.txt"
    write_file(reason, error.line() + "\n")


def read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = load_file(path)
    return tensors
