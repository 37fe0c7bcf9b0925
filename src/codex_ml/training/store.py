"""The run's checkpoints as all workers see them: rank 0 writes and chooses, every rank reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from codex_ml.checkpointing import Checkpoint, CheckpointManager, Retention
from codex_ml.checkpointing.shards import write_shards
from codex_ml.errors import CodexError
from codex_ml.training.distributed import World
from codex_ml.training.sharded import whole_digest

if TYPE_CHECKING:
    from codex_ml.training.engines.start import Job
    from codex_ml.training.session import Session


class CheckpointStore:
    """Save and find the checkpoints of one run, from every worker."""

    def __init__(self, manager: CheckpointManager | None, world: World) -> None:
        self._manager, self._world = manager, world
        self.last_step = 0

    @classmethod
    def open(cls, job: Job, *, world: World) -> CheckpointStore:
        """Rank 0 alone holds a manager."""
        if not world.is_main:
            return cls(None, world)
        manager = CheckpointManager(
            job.directory.checkpoints,
            policy=Retention.of(job.config.checkpoint),
            owner={"run_id": job.run_id},
            facts=job.facts,
            background=job.config.checkpoint.background,
        )
        return cls(manager, world)

    def find(self, resume_from: Path | None) -> Checkpoint | None:
        """The checkpoint to go on from, verified by rank 0."""
        found: Checkpoint | None = None
        if self._manager is not None:
            found = self._manager.resume_from(resume_from) if resume_from else self._manager.load_latest()
        shared = self._world.share([str(found.path), found.manifest] if found else None)
        if shared is None:
            return None
        checkpoint = Checkpoint(Path(shared[0]), shared[1])
        self.last_step = checkpoint.step
        return checkpoint

    def save(self, session: Session, *, scheduled: bool) -> None:
        """Save the present state; its metrics are those of an evaluation at this very step, if any."""
        progress = session.trainee.progress
        if session.config.runtime.sharding == "fsdp2":
            self._save_shards(session, scheduled=scheduled)
        if self._manager is None or session.config.runtime.sharding == "fsdp2":
            self.last_step = progress.step
            return
        self._manager.save(
            progress.step,
            model=session.trainee.model.tensors(),
            optimizer=session.trainee.optimizers.tensors(),
            state=progress.as_dict(),
            metrics=progress.metrics(),
            scheduled=scheduled,
        )
        self.last_step = progress.step

    def _save_shards(self, session: Session, *, scheduled: bool) -> None:
        """Every worker writes its part; rank 0 makes the place, binds and publishes it."""
        trainee = session.trainee
        model, optimizer = trainee.model.tensors(), trainee.optimizers.tensors()
        digests = {"weights_sha256": whole_digest(model), "optimizer_sha256": whole_digest(optimizer)}

        tensors = (*model.values(), *optimizer.values())
        nbytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)

        def write(folder: Path) -> None:
            place = Path(self._world.share(str(folder)))
            write_shards(place / "model", model)
            write_shards(place / "optimizer", optimizer)

        if self._manager is None:
            write(Path())
            return
        self._manager.save_shards(
            trainee.progress.step,
            write=write,
            nbytes=nbytes,
            digests=digests,
            state=trainee.progress.as_dict(),
            metrics=trainee.progress.metrics(),
            scheduled=scheduled,
        )

    def poll(self) -> None:
        """Raise the failure of a save that has ended meanwhile."""
        if self._manager is not None:
            self._manager.poll()

    def finish(self) -> Checkpoint | None:
        """Wait for the save in flight; the checkpoint saved last by this process. Raises its failure."""
        return self._manager.wait() if self._manager is not None else None

    def result(self) -> Checkpoint:
        """The checkpoint saved last, once it is on the disk; on every worker."""
        saved = self.finish()
        path, manifest = self._world.share([str(saved.path), saved.manifest] if saved else None)
        return Checkpoint(Path(path), manifest)

    def abandon(self) -> None:
        """Wait for the save in flight without raising; for the way out after another error."""
        try:
            if self._manager is not None:
                self._manager.wait()
        except (CodexError, OSError):
            return
