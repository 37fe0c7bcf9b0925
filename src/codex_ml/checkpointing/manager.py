"""Save, resume and prune the checkpoints of one run."""

from __future__ import annotations

import logging
import math
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_ml.checkpointing.background import Background
from codex_ml.checkpointing.layout import (
    FORMAT,
    MODEL,
    OPTIMIZER,
    SHARDS,
    STATE,
    list_checkpoints,
    name_of,
    revision_of,
    step_of,
)
from codex_ml.checkpointing.reader import Checkpoint, newest_good, open_checkpoint
from codex_ml.checkpointing.retention import Kept, Retention, remove, sweep, to_keep
from codex_ml.checkpointing.snapshot import Snapshot, SnapshotBuffers, on_host, tensors_digest
from codex_ml.checkpointing.writer import write_tensors
from codex_ml.core.publish import MANIFEST, make_directory, read_json, staged, write_file, write_json, writing
from codex_ml.errors import CheckpointLoadError, IntegrityError, StorageError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
#: What a checkpoint needs beside its tensors: headers, state, manifest, directory entries.
_SLACK_BYTES = 1 << 20


@dataclass(frozen=True)
class _Order:
    """One save: everything but the tensors."""

    step: int
    state: dict[str, Any]
    metrics: dict[str, float]
    scheduled: bool
    digests: dict[str, str]
    nbytes: int
    sharded: bool


class CheckpointManager:
    """The checkpoints below ``runs/<name>/checkpoints``.

    One process at a time: the caller holds the run's lock. *owner* goes into every manifest and must
    be found in every checkpoint that is read (the run's id); *facts* go in to be read by people. With
    *background* a save only copies the state; hashing, writing and verifying go on beside training,
    one save in flight, and a failure comes up at the next `poll`, `save` or `wait`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        policy: Retention,
        owner: Mapping[str, str] | None = None,
        facts: Mapping[str, str] | None = None,
        background: bool = False,
    ) -> None:
        self.directory = directory
        self.policy = policy
        self._owner, self._facts = dict(owner or {}), dict(facts or {})
        self._buffers = SnapshotBuffers() if background else None
        self._background: Background[Checkpoint] = Background()
        if directory.is_dir():
            sweep(directory)

    def save(
        self,
        step: int,
        *,
        model: Mapping[str, Tensor],
        optimizer: Mapping[str, Tensor],
        state: Mapping[str, Any],
        metrics: Mapping[str, float],
        scheduled: bool = True,
    ) -> Checkpoint | None:
        """Publish one checkpoint, verify it, then prune; at once, or beside training (then None).

        *metrics* are those of an evaluation of this very state; *scheduled* is false for a save that
        a signal asked for. Raises StorageError when the disk refuses (before anything is written,
        when it lacks the space), CheckpointLoadError when what was written is not the live state.
        """
        self._background.wait()
        take = on_host if self._buffers is None else self._buffers.take
        snapshot = take(model=model, optimizer=optimizer)
        order = _Order(step, dict(state), dict(metrics), scheduled, {}, snapshot.nbytes, sharded=False)
        self._background.start(lambda: self._guarded(lambda: self._persist(order, snapshot)))
        return self._background.wait() if self._buffers is None else None

    def save_shards(
        self,
        step: int,
        *,
        write: Callable[[Path], None],
        nbytes: int,
        digests: Mapping[str, str],
        state: Mapping[str, Any],
        metrics: Mapping[str, float],
        scheduled: bool,
    ) -> Checkpoint:
        """Publish a checkpoint of which every worker writes a part: *write* fills ``shards/``.

        *digests* are the digests of the whole weights and optimizer state. Raises as `save`.
        """
        self._background.wait()
        order = _Order(step, dict(state), dict(metrics), scheduled, dict(digests), nbytes, sharded=True)

        def fill(stage: Path) -> None:
            (stage / SHARDS).mkdir()
            write(stage / SHARDS)

        self._background.start(lambda: self._guarded(lambda: self._publish(order, fill)))
        checkpoint = self._background.wait()
        assert checkpoint is not None
        return checkpoint

    def poll(self) -> None:
        """Raise the failure of a save that has ended meanwhile."""
        self._background.poll()

    def wait(self) -> Checkpoint | None:
        """Wait for the save in flight and return the checkpoint saved last, if any was."""
        return self._background.wait()

    def load_latest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies, or None for a run without any; bad ones are set aside.

        Ends what a kill between save and pruning left undone.
        """
        checkpoint = self.newest_good()
        if checkpoint is not None:
            self._settle(checkpoint)
        return checkpoint

    def resume_from(self, path: Path) -> Checkpoint:
        """A named checkpoint, verified. Later ones of the run are set aside: the run is here now."""
        checkpoint = open_checkpoint(path, owner=self._owner)
        for later in list_checkpoints(self.directory):
            if (step_of(later) or 0, revision_of(later)) > (checkpoint.step, revision_of(checkpoint.path)):
                log.warning("%s lies beyond step %d and is set aside", later.name, checkpoint.step)
                later.rename(later.with_name(f".later-{later.name}-{uuid.uuid4().hex[:8]}"))
        if checkpoint.path.parent.resolve() == self.directory.resolve():
            self._settle(checkpoint)
        return checkpoint

    def newest_good(self, *, set_aside: bool = True) -> Checkpoint | None:
        """As `load_latest`, and nothing is pruned."""
        return newest_good(self.directory, set_aside=set_aside, owner=self._owner)

    def point_latest(self, newest: Checkpoint) -> None:
        """Let ``latest`` name the newest checkpoint."""
        self._point("latest", newest.path)

    def apply_retention(self, *, dry_run: bool = False) -> list[str]:
        """Remove what the policy does not keep; returns the (to be) removed names, oldest first."""
        paths = {self._kept(path): path for path in list_checkpoints(self.directory)}
        keep, best = to_keep(paths, self.policy)
        if not dry_run:
            self._point("best", None if best is None or not self.policy.keep_best else paths[best])
        gone = [
            paths[item] for item in sorted(set(paths) - keep, key=lambda item: (item.step, item.revision))
        ]
        for path in [] if dry_run else gone:
            remove(path)
        return [path.name for path in gone]

    def _settle(self, newest: Checkpoint) -> None:
        self._point("latest", newest.path)
        self.apply_retention()

    def _point(self, name: str, target: Path | None) -> None:
        pointer, text = self.directory / name, f"{target.name}\n" if target else ""
        if target is None:
            pointer.unlink(missing_ok=True)
        elif not pointer.is_file() or pointer.read_bytes() != text.encode():
            write_file(pointer, text)

    def _kept(self, path: Path) -> Kept:
        """What the policy sees; a manifest that cannot be read ranks nowhere and is left to the reader."""
        value, scheduled = None, True
        try:
            manifest = read_json(path / MANIFEST)
            value = manifest["metrics"].get(self.policy.metric)
            scheduled = bool(manifest["scheduled"])
        except (IntegrityError, FileNotFoundError, KeyError, TypeError, AttributeError):
            value = None
        ranked = float(value) if isinstance(value, (int, float)) else None
        return Kept(step_of(path) or 0, revision_of(path), ranked, scheduled)

    def _guarded(self, work: Callable[[], Checkpoint]) -> Checkpoint:
        """A disk that refuses in pruning or reading back is a failed save like any other."""
        with writing(self.directory):
            return work()

    def _persist(self, order: _Order, snapshot: Snapshot) -> Checkpoint:
        """Hash the snapshot in memory, so that what lands on the disk can be compared with it."""
        weights, optimizer = tensors_digest(snapshot.model), tensors_digest(snapshot.optimizer)
        order.digests.update(weights_sha256=weights, optimizer_sha256=optimizer)

        def fill(stage: Path) -> None:
            write_tensors(stage / MODEL, snapshot.model)
            write_tensors(stage / OPTIMIZER, snapshot.optimizer)

        return self._publish(order, fill)

    def _publish(self, order: _Order, fill: Callable[[Path], None]) -> Checkpoint:
        step = order.step
        present = [path for path in list_checkpoints(self.directory) if step_of(path) == step]
        if present and not order.sharded and (same := _same(present[0], order)):
            self._settle(same)
            return same
        target = self.directory / name_of(step, 1 + revision_of(present[0]) if present else 0)
        self._check_space(order.nbytes, target)
        meta: dict[str, Any] = {
            "format": FORMAT,
            "step": step,
            "owner": self._owner,
            "facts": self._facts,
            "metrics": {name: value for name, value in order.metrics.items() if math.isfinite(value)},
            "scheduled": order.scheduled,
            "sharded": order.sharded,
            **order.digests,
        }
        with staged(target, meta=meta) as stage:
            fill(stage)
            write_json(stage / STATE, order.state)
        try:
            checkpoint = open_checkpoint(target, owner=self._owner)
        except CheckpointLoadError as error:
            target.rename(target.with_name(f".corrupt-{target.name}-{uuid.uuid4().hex[:8]}"))
            raise CheckpointLoadError(
                f"the save of step {step} did not put the live state on the disk",
                code="checkpoint.stale",
                got=error.what,
                next_step="check the file system; the checkpoint before this one is untouched",
            ) from error
        self._settle(checkpoint)
        return checkpoint

    def _check_space(self, nbytes: int, target: Path) -> None:
        with writing(self.directory):
            make_directory(self.directory)
        needed, free = nbytes + _SLACK_BYTES, shutil.disk_usage(self.directory).free
        if needed > free:
            raise StorageError(
                f"no space left to write {target}",
                code="storage.full",
                got=f"{free / 1e6:,.0f} MB free",
                wanted=f"{needed / 1e6:,.0f} MB",
                next_step="free disk space (see `codex-ml store ls`) and run the same command again",
            )


def _same(path: Path, order: _Order) -> Checkpoint | None:
    """The checkpoint at *path* when it already is what would be saved, good bytes included."""
    try:
        found = open_checkpoint(path)
    except CheckpointLoadError:
        return None
    digests = {name: found.manifest[name] for name in order.digests}
    equal = digests == order.digests and found.state() == order.state
    return found if equal and found.manifest["scheduled"] >= order.scheduled else None
