"""What can be done to a training process from inside; the fork server applies them by name."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reproducibility.tracker_faults import disturbed_tracker  # noqa: F401 - one more that is applied by name

#: What a process asks of the file system, as `sys.addaudithook` names it.
IO_EVENTS = frozenset(
    {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.scandir", "os.listdir"}
)


def die() -> None:
    """SIGKILL the whole process group, as a power switch would."""
    os.killpg(0, signal.SIGKILL)


class Counter:
    """Counts points inside saves and acts at one of them."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.at, self.act = at, act
        self.seen = 0
        self.thread: int | None = None

    def point(self) -> None:
        if self.thread != threading.get_ident():
            return
        self.seen += 1
        if self.seen == self.at:
            self.act()


def inside_saves(enter: Callable[[int], None], leave: Callable[[int], None]) -> None:
    """Call *enter* and *leave* with the step, in the thread that writes, around each save."""
    from codex_ml.checkpointing import background, manager

    run = background.Background._run
    asked: list[int] = []

    def watched(save: Callable[..., Any]) -> Callable[..., Any]:
        def watched_save(self: Any, step: int, **parts: Any) -> Any:
            asked.append(step)
            return save(self, step, **parts)

        return watched_save

    def watched_run(self: Any, work: Any) -> None:
        step = asked[-1]
        enter(step)
        try:
            run(self, work)
        finally:
            leave(step)

    for name in ("save", "save_shards"):
        setattr(manager.CheckpointManager, name, watched(getattr(manager.CheckpointManager, name)))
    background.Background._run = watched_run


def at_io_call(*, n: int, step: int, report: str | None = None) -> None:
    """SIGKILL at the *n*-th I/O call of the save of *step*: pointers and retention are part of it.

    *report* names a file that gets the number of calls when the save lives through all of them.
    """
    from codex_ml.checkpointing import writer

    counter = Counter(n, die)
    fsync, raw_bytes = os.fsync, writer.raw_bytes

    def hook(event: str, _: Any) -> None:
        if event in IO_EVENTS:
            counter.point()

    def counted_fsync(fd: int) -> None:
        counter.point()
        fsync(fd)

    def counted_write(tensor: Any) -> memoryview:
        counter.point()
        return raw_bytes(tensor)

    def enter(number: int) -> None:
        counter.thread = threading.get_ident() if number == step else None

    def leave(number: int) -> None:
        counter.thread = None
        if number == step and report:
            Path(report).write_text(str(counter.seen))

    sys.addaudithook(hook)
    os.fsync = counted_fsync
    writer.raw_bytes = counted_write
    inside_saves(enter, leave)


def signal_at_micro_batch(*, n: int, name: str = "SIGTERM") -> None:
    """A signal to this very process when its *n*-th micro-batch begins."""
    from codex_ml.training import loop

    real = loop.seed_shard
    seen = 0

    def seeded(*args: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == n:
            os.kill(os.getpid(), getattr(signal, name))
        real(*args)

    loop.seed_shard = seeded


def signal_after_step(*, steps: list[int], name: str = "SIGTERM") -> None:
    """A signal to this very process when one of *steps* is done and before anything is written."""
    from codex_ml.training.between import Between

    real = Between.after

    def after(self: Any, info: Any) -> None:
        if info.step in steps:
            os.kill(os.getpid(), getattr(signal, name))
        real(self, info)

    Between.after = after


def signal_in_evaluation(*, n: int, name: str = "SIGTERM") -> None:
    """A signal while the *n*-th evaluation of this process runs."""
    from codex_ml.training.session import Session

    real = Session.evaluate
    seen = 0

    def evaluate(self: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == n:
            os.kill(os.getpid(), getattr(signal, name))
        return real(self, **options)

    Session.evaluate = evaluate


def signal_in_save(*, step: int, name: str = "SIGTERM") -> None:
    """A signal while the save of *step* is on its way to the disk."""
    from codex_ml.checkpointing import manager

    real = manager.write_tensors

    def write(path: Path, tensors: Any) -> None:
        real(path, tensors)
        if f"step-{step:08d}" in path.parent.name:
            os.kill(os.getpid(), getattr(signal, name))

    manager.write_tensors = write


def slow_steps(*, seconds: float) -> None:
    """Every micro-batch takes *seconds* longer."""
    from codex_ml.training import loop

    real = loop.seed_shard

    def seeded(*args: Any) -> None:
        time.sleep(seconds)
        real(*args)

    loop.seed_shard = seeded


def filled_memory() -> None:
    """Uninitialised memory holds NaN, and operations without a deterministic kernel raise."""
    import torch

    from codex_ml.pipeline import train_stage

    real = train_stage.apply_determinism

    def strict(**options: Any) -> Any:
        report = real(**options)
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = True
        return report

    train_stage.apply_determinism = strict


def other_machine(*, field: str, value: Any) -> None:
    """One fact about this machine is another one: torch's build, the CPU's instructions."""
    import dataclasses

    from codex_ml.pipeline import train_stage

    real = train_stage.resolve

    def resolve(*args: Any, **options: Any) -> Any:
        return dataclasses.replace(real(*args, **options), **{field: value})

    train_stage.resolve = resolve
