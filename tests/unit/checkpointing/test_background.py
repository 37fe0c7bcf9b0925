"""Saving beside training: one at a time, of the state of its moment, and no failure is lost."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_ml.checkpointing import CheckpointManager, Retention
from codex_ml.checkpointing.background import Background
from codex_ml.checkpointing.layout import list_checkpoints, name_of
from codex_ml.checkpointing.reader import open_checkpoint
from codex_ml.errors import CheckpointLoadError, CodexError, StorageError

pytestmark = pytest.mark.needs("train")
POLICY = Retention(9, 0, keep_every=0, metric="loss", mode="min")
SURFACE: dict[str, Callable[[CheckpointManager], object]] = {
    "poll": CheckpointManager.poll,
    "wait": CheckpointManager.wait,
    "save": lambda manager: save(manager, 9),
}


class Gate:
    """A writer of tensors that waits until it is opened and counts how many write at once."""

    def __init__(self, write: Callable[..., None]) -> None:
        self.write, self.reached, self.opened = write, threading.Event(), threading.Event()
        self.inside = self.most = 0
        self.error: Exception | None = None

    def __call__(self, path: Path, tensors: Any) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.reached.set()
        try:
            assert self.opened.wait(timeout=30)
            if self.error is not None:
                raise self.error
            self.write(path, tensors)
        finally:
            self.inside -= 1


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A closed one in front of every tensor file."""
    from codex_ml.checkpointing import manager as module

    slow = Gate(module.write_tensors)
    monkeypatch.setattr(module, "write_tensors", slow)
    yield slow
    slow.opened.set()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[CheckpointManager]:
    found = CheckpointManager(tmp_path / "run", policy=POLICY, background=True)
    yield found
    try:
        found.wait()
    except CodexError:
        return


def live(value: float) -> dict[str, Any]:
    import torch

    return {"w": torch.full((5,), value)}


def save(manager: CheckpointManager, step: int, **parts: Any) -> Any:
    values = {"model": live(step), "optimizer": live(-step), "state": {"step": step}, "metrics": {}}
    return manager.save(step, **(values | parts))


def ended(manager: CheckpointManager) -> None:
    """Wait, without asking for its outcome, until the save in flight has ended."""
    thread = manager._background._thread
    assert thread is not None
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_save_returns_before_it_is_on_the_disk_and_wait_returns_what_was_saved(
    manager: CheckpointManager, gate: Gate
) -> None:
    assert save(manager, 1) is None
    assert gate.reached.wait(timeout=30)
    manager.poll()
    assert list_checkpoints(manager.directory) == []
    gate.opened.set()
    saved = manager.wait()
    assert saved is not None and saved.step == 1
    assert [path.name for path in list_checkpoints(manager.directory)] == ["step-00000001"]
    assert manager.wait() == saved


def test_what_training_does_meanwhile_does_not_reach_the_checkpoint(
    manager: CheckpointManager, gate: Gate
) -> None:
    import torch

    model, optimizer, state = live(1.0), live(2.0), {"step": 1}
    save(manager, 1, model=model, optimizer=optimizer, state=state)
    assert gate.reached.wait(timeout=30)
    for tensor in (*model.values(), *optimizer.values()):
        tensor.fill_(99.0)
    state["step"] = 99
    gate.opened.set()
    saved = manager.wait()
    assert saved is not None
    assert torch.equal(saved.model_tensors()["w"], live(1.0)["w"])
    assert torch.equal(saved.optimizer_tensors()["w"], live(2.0)["w"])
    assert saved.state() == {"step": 1}


def test_a_second_save_waits_for_the_first_and_never_touches_its_state(
    manager: CheckpointManager, gate: Gate
) -> None:
    import torch

    save(manager, 1)
    assert gate.reached.wait(timeout=30)
    second = threading.Thread(target=save, args=(manager, 2))
    second.start()
    time.sleep(0.05)
    assert second.is_alive(), "the second save did not wait"
    gate.opened.set()
    second.join(timeout=30)
    assert manager.wait() is not None
    assert gate.most == 1
    for step in (1, 2):
        found = open_checkpoint(manager.directory / name_of(step, 0))
        assert torch.equal(found.model_tensors()["w"], live(step)["w"])


@pytest.mark.parametrize("surface", SURFACE)
def test_a_failure_comes_up_at_the_next_call_exactly_once(
    surface: str, manager: CheckpointManager, gate: Gate
) -> None:
    gate.error = OSError(28, "No space left on device")
    save(manager, 1)
    gate.opened.set()
    ended(manager)
    with pytest.raises(StorageError) as caught:
        SURFACE[surface](manager)
    assert caught.value.code == "storage.full"
    gate.error = None
    manager.poll()
    assert manager.wait() is None
    save(manager, 2)
    saved = manager.wait()
    assert saved is not None and saved.step == 2
    assert [path.name for path in list_checkpoints(manager.directory)] == ["step-00000002"]


def test_a_stale_file_is_found_beside_training_too(
    manager: CheckpointManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.checkpointing import manager as module

    write = module.write_tensors
    monkeypatch.setattr(module, "write_tensors", lambda path, _: write(path, live(7.0)))
    save(manager, 1)
    with pytest.raises(CheckpointLoadError) as caught:
        manager.wait()
    assert caught.value.code == "checkpoint.stale"
    assert list_checkpoints(manager.directory) == []


def test_any_exception_of_the_work_reaches_the_caller() -> None:
    background: Background[int] = Background()
    for error in (KeyboardInterrupt(), MemoryError(), ValueError("x")):

        def work(error: BaseException = error) -> int:
            raise error

        background.start(work)
        with pytest.raises(type(error)):
            background.wait()
    background.start(lambda: 7)
    assert background.wait() == 7


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux alone")
def test_the_work_stands_behind_training_in_the_queue_for_a_core() -> None:
    background: Background[int] = Background()
    background.start(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert background.wait() == max(15, own)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
