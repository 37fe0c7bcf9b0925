"""A power cut after any operation of a save: nothing bad is accepted, nothing acknowledged is lost."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from codex_ml.checkpointing import CheckpointManager, Retention
from codex_ml.checkpointing.digest import weights_digest
from codex_ml.checkpointing.reader import newest_good
from codex_ml.core import publish
from codex_ml.errors import CodexError
from codex_ml.training.journal import Journal
from reproducibility.harness import chosen, counted
from reproducibility.replay import Disk, Operation, Recorder, fates

pytestmark = pytest.mark.needs("train")

POLICY = Retention(keep_last=2, keep_best=1, keep_every=0, metric="loss", mode="min")
STEPS = 5


def tensors(step: int) -> dict[str, torch.Tensor]:
    return {"a": torch.full((40,), float(step)), "b": torch.arange(24.0).reshape(4, 6) + step}


def saves(root: Path) -> tuple[list[Operation], dict[int, str]]:
    """The operations of a few steps with journal, save and retention; the weights of each step."""
    weights: dict[int, str] = {}
    root.mkdir()
    with Recorder(root) as recorder:
        journal = Journal(root / "journal.jsonl", length=0, head="")
        manager = CheckpointManager(root / "checkpoints", policy=POLICY, owner={"run_id": "r"})
        for step in range(1, STEPS + 1):
            journal.append(step=step, samples="s", loss=1 / step, grad_norm=1.0, skipped=False)
            journal.sync()
            state = {"step": step, "journal_head": journal.head, "journal_bytes": journal.length}
            loss = {"loss": math.cos(step)}
            parts = {"model": tensors(step), "optimizer": tensors(-step)}
            saved = manager.save(step, **parts, state=state, metrics=loss, scheduled=step != 3)
            assert saved is not None
            weights[step] = saved.weights
            recorder.saved(step)
        journal.close()
    return recorder.operations, weights


def moments(operations: list[Operation], root: Path) -> Iterator[tuple[int, int, Disk]]:
    """(number of operations, the step acknowledged last, the disk) before and after each operation."""
    finals = contents(operations)
    disk, acknowledged = Disk(str(root), finals), 0
    for number, operation in enumerate(operations, 1):
        if operation[0] == "saved":
            acknowledged = int(operation[1])
        else:
            disk.play(operation)
        yield number, acknowledged, disk


def contents(operations: list[Operation]) -> dict[str, bytes]:
    """What every file held when it was flushed first; one that never was is lost or half there."""
    found: dict[str, bytes] = {}
    for kind, path, content in operations:
        if kind == "fsync" and content is not None:
            found.setdefault(path, content)
    return found


def violation(run: Path, acknowledged: int, weights: dict[int, str]) -> str | None:
    """Why the directory after a power cut is not as promised."""
    try:
        found = newest_good(
            run / "checkpoints", set_aside=False, owner={"run_id": "r"}, report=lambda _: None
        )
    except CodexError as error:
        return f"step {acknowledged} was acknowledged, now: {error.line()[:300]}" if acknowledged else None
    if (found.step if found else 0) < acknowledged:
        return f"step {acknowledged} was acknowledged, now the newest is {found.step if found else None}"
    if found is None:
        return None
    state = found.state()
    if weights_digest(found.path / "model.safetensors") != weights[found.step] or state["step"] != found.step:
        return f"step {found.step} was accepted with other content"
    try:
        path = run / "journal.jsonl"
        Journal(path, length=state["journal_bytes"], head=state["journal_head"]).close()
    except CodexError as error:
        return f"step {found.step} is good, its journal is not: {error.line()[:300]}"
    return None


def replayed(room: Path, points: int) -> tuple[int, list[str]]:
    """Every moment with every fate: how many were tried, and what was not as promised."""
    root = room / "run"
    operations, weights = saves(root)
    wanted = set(chosen(list(range(1, len(operations) + 1)), points, full=len(operations)))
    tried, bad = 0, []
    for number, acknowledged, disk in moments(operations, root):
        for name, fate in fates(number).items() if number in wanted else ():
            cut = room / "cut"
            disk.after_a_power_cut(cut, fate)
            why = violation(cut, acknowledged, weights)
            bad += [f"after {number} of {len(operations)} operations, {name}: {why}"] if why else []
            tried += 1
            shutil.rmtree(cut)
    return tried, bad


def test_a_power_cut_after_any_operation_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with counted("K3 crash replay: every prefix, seven fates", steps=STEPS) as row:
        row.trials, row.failures = replayed(tmp_path, 40)


def test_the_replay_ends_where_the_real_directory_is(tmp_path: Path) -> None:
    operations, _ = saves(tmp_path / "run")
    *_, (_, _, disk) = moments(operations, tmp_path / "run")
    disk.after_a_power_cut(tmp_path / "cut", lambda _: "kept")
    names = [
        {path.relative_to(top) for path in top.rglob("*")} for top in (tmp_path / "run", tmp_path / "cut")
    ]
    assert names[0] == names[1]
    for name in names[0]:
        if (tmp_path / "run" / name).is_file():
            assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_the_replay_sees_that_the_flush_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "fsync_path", lambda _: None)
    assert replayed(tmp_path, 20)[1], "without fsync nothing was lost"


def test_the_replay_sees_that_the_flush_of_the_journal_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "sync", lambda _: None)
    assert replayed(tmp_path, 20)[1], "without fsync the journal was not lost"
