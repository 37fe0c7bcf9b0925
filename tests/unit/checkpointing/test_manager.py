"""Save, verify, fall back, prune: on real checkpoints of real tensors."""

from __future__ import annotations

import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from codex_ml.checkpointing import CheckpointManager, Retention
from codex_ml.checkpointing.layout import list_checkpoints, step_of
from codex_ml.checkpointing.reader import newest_good, open_checkpoint
from codex_ml.core.publish import MANIFEST, seal
from codex_ml.errors import CheckpointLoadError, StorageError

pytestmark = pytest.mark.needs("train")
FILES = ("model.safetensors", "optimizer.safetensors", "state.json", MANIFEST)
STATE = {"step": 7, "losses": [0.1, 1e-320], "text": "ä"}


def tensors(seed: int = 0) -> dict[str, Any]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    return {
        "w": torch.randn(3, 5, generator=generator),
        "half": torch.randn(4, generator=generator).bfloat16(),
        "count": torch.tensor(float(seed)),
        "odd": torch.tensor([math.nan, -0.0, math.inf, 5e-324], dtype=torch.float64),
    }


def manager(path: Path, *, keep_last: int = 2, keep_best: int = 1, **more: Any) -> CheckpointManager:
    policy = Retention(keep_last, keep_best, keep_every=0, metric="loss", mode="min")
    return CheckpointManager(path, policy=policy, **more)


def save(target: CheckpointManager, step: int, loss: float | None = None, **more: Any) -> Any:
    values: dict[str, Any] = {
        "model": tensors(step),
        "optimizer": tensors(step + 1),
        "state": STATE,
        "metrics": {} if loss is None else {"loss": loss},
    }
    return target.save(step, **(values | more))


def steps(path: Path) -> list[int]:
    return sorted(step for found in list_checkpoints(path) if (step := step_of(found)) is not None)


def names(path: Path) -> list[str]:
    return sorted(found.name for found in list_checkpoints(path))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One published checkpoint, to be copied."""
    return save(manager(tmp_path_factory.mktemp("sound")), 7, 0.25).path


def refused(path: Path) -> CheckpointLoadError:
    with pytest.raises(CheckpointLoadError) as caught:
        open_checkpoint(path)
    assert caught.value.exit_code == 3
    return caught.value


# ---- one checkpoint ------------------------------------------------------------------------------


def test_what_is_loaded_is_what_was_saved_bit_for_bit(tmp_path: Path) -> None:
    import torch

    saved = save(manager(tmp_path), 7, 0.25)
    loaded = manager(tmp_path).load_latest()
    assert loaded is not None
    assert (loaded.step, loaded.weights, loaded.manifest["metrics"]) == (7, saved.weights, {"loss": 0.25})
    assert loaded.state() == STATE
    for expected, found in (
        (tensors(7), loaded.model_tensors()),
        (tensors(8), loaded.optimizer_tensors()),
    ):
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert value.dtype == found[name].dtype and value.shape == found[name].shape
            raw = [t.reshape(-1).view(torch.uint8) for t in (value, found[name])]
            assert torch.equal(*raw), name


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_anywhere_is_refused_by_the_name_of_the_file(
    name: str, sound: Path, tmp_path: Path
) -> None:
    copy = tmp_path / sound.name
    shutil.copytree(sound, copy)
    raw = (copy / name).read_bytes()
    rng = random.Random(name)
    places = {0, 7, 8, len(raw) // 2, len(raw) - 1, *(rng.randrange(len(raw)) for _ in range(25))}
    for place in sorted(places):
        changed = bytearray(raw)
        changed[place] ^= 1 << rng.randrange(8)
        (copy / name).write_bytes(changed)
        error = refused(copy)
        assert name in str(error), place
        assert error.code == "checkpoint.damaged"
    (copy / name).write_bytes(raw)
    open_checkpoint(copy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "longer"])
def test_a_missing_or_cut_file_is_refused_by_name(
    name: str, damage: str, sound: Path, tmp_path: Path
) -> None:
    copy = tmp_path / sound.name
    shutil.copytree(sound, copy)
    raw = (copy / name).read_bytes()
    if damage == "missing":
        (copy / name).unlink()
    else:
        content = {"empty": b"", "cut": raw[:-1] if name != MANIFEST else raw[:-2], "longer": raw + b"\0"}
        (copy / name).write_bytes(content[damage])
    assert name in str(refused(copy))


def test_an_extra_file_is_refused_by_name(sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / sound.name
    shutil.copytree(sound, copy)
    (copy / "surplus.bin").write_bytes(b"")
    assert "surplus.bin" in str(refused(copy))


def test_a_consistent_forgery_of_the_weights_is_refused(sound: Path, tmp_path: Path) -> None:
    """Files and manifest that fit each other do not help when the weights are no weights."""
    import json

    copy = tmp_path / sound.name
    shutil.copytree(sound, copy)
    meta = json.loads((copy / MANIFEST).read_text())
    for key in ("files", "manifest_sha256"):
        meta.pop(key)
    seal(copy, {**meta, "weights_sha256": "0" * 64})
    assert refused(copy).code == "checkpoint.weights"
    seal(copy, {**meta, "format": 2})
    assert refused(copy).code == "checkpoint.format"
    (copy / "model.safetensors").write_bytes(b"\xff" * 40)
    seal(copy, meta)
    assert refused(copy).code == "checkpoint.damaged"
    (copy / "model.safetensors").unlink()
    seal(copy, meta)
    assert refused(copy).code == "checkpoint.damaged"


def test_a_checkpoint_that_is_not_there_is_never_a_fresh_start(tmp_path: Path) -> None:
    assert refused(tmp_path / "step-00000001").code == "checkpoint.missing"
    with pytest.raises(CheckpointLoadError):
        manager(tmp_path).resume_from(tmp_path / "step-00000001")


def test_a_step_saved_again_in_the_same_state_is_the_one_on_the_disk(tmp_path: Path) -> None:
    kept = manager(tmp_path)
    first = save(kept, 7)
    inode = (first.path / "model.safetensors").stat().st_ino
    again = save(kept, 7)
    assert (again.path, again.manifest) == (first.path, first.manifest)
    assert (again.path / "model.safetensors").stat().st_ino == inode
    assert names(tmp_path) == ["step-00000007"]


@pytest.mark.parametrize(
    "change", [{"state": {"step": 7, "evaluated": True}}, {"model": tensors(99)}], ids=["state", "weights"]
)
def test_a_step_saved_again_in_another_state_is_a_revision_that_takes_its_place(
    change: dict[str, Any], tmp_path: Path
) -> None:
    kept = manager(tmp_path)
    save(kept, 7)
    for revision in (1, 2):
        saved = save(kept, 7, **(change if revision == 1 else {}))
        assert saved.path.name == f"step-00000007.r{revision}"
        assert names(tmp_path) == [saved.path.name]
        assert (tmp_path / "latest").read_text() == f"{saved.path.name}\n"
        loaded = manager(tmp_path).load_latest()
        assert loaded is not None and (loaded.step, loaded.manifest) == (7, saved.manifest)


def test_a_damaged_checkpoint_is_no_reason_not_to_save_its_step_again(tmp_path: Path) -> None:
    kept = manager(tmp_path)
    damaged = save(kept, 7).path
    (damaged / "model.safetensors").write_bytes(b"")
    again = save(kept, 7)
    assert again.path.name == "step-00000007.r1"
    open_checkpoint(again.path)


def test_a_scheduled_save_of_what_a_signal_saved_makes_it_a_scheduled_one(tmp_path: Path) -> None:
    kept = manager(tmp_path, keep_last=1, keep_best=0)
    asked = save(kept, 7, scheduled=False)
    assert save(kept, 7, scheduled=False).path == asked.path
    scheduled = save(kept, 7)
    assert scheduled.manifest["scheduled"] is True
    assert save(kept, 7, scheduled=False).path == scheduled.path


# ---- whose checkpoint it is ----------------------------------------------------------------------


def test_a_checkpoint_under_the_name_of_another_step_is_refused(sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "step-00000008"
    shutil.copytree(sound, copy)
    assert refused(copy).code == "checkpoint.step"
    shutil.copytree(sound, tmp_path / "anything")
    assert open_checkpoint(tmp_path / "anything").step == 7


def test_a_checkpoint_of_another_run_is_refused_and_the_own_one_before_it_is_used(tmp_path: Path) -> None:
    own, other = (manager(tmp_path / name, owner={"run_id": name}) for name in ("own", "other"))
    save(own, 10)
    foreign = save(other, 20).path
    shutil.copytree(foreign, tmp_path / "own" / foreign.name)
    with pytest.raises(CheckpointLoadError) as caught:
        own.resume_from(foreign)
    assert caught.value.code == "checkpoint.owner"
    advice = str(caught.value.next_step)
    assert all(f"{key}=" in advice for key in ("train.init_from", "model.path", "model.lora.path"))
    assert "run_id=other" in str(caught.value)
    found = own.load_latest()
    assert found is not None and (found.step, found.manifest["owner"]) == (10, {"run_id": "own"})


def linked(tmp_path: Path, step: int) -> tuple[Path, Path]:
    """A run whose checkpoint of *step* is a link to that of another run: (own directory, the other's)."""
    foreign = save(manager(tmp_path / "other"), step).path
    own = tmp_path / "own"
    own.mkdir()
    (own / foreign.name).symlink_to(foreign)
    return own, foreign


def test_a_linked_checkpoint_is_refused_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    own, _ = linked(tmp_path, 20)
    save(manager(own), 10)
    said: list[str] = []
    found = newest_good(own, set_aside=False, report=said.append)
    assert found is not None and found.step == 10
    assert "symbolic link" in said[0]


def test_setting_a_linked_checkpoint_aside_leaves_what_it_points_to_untouched(tmp_path: Path) -> None:
    own, foreign = linked(tmp_path, 20)
    save(manager(own), 10)
    found = manager(own).load_latest()
    assert found is not None and found.step == 10
    assert open_checkpoint(foreign).step == 20


def test_pruning_a_linked_checkpoint_removes_the_link_and_nothing_behind_it(tmp_path: Path) -> None:
    own, foreign = linked(tmp_path, 5)
    kept = manager(own, keep_last=1, keep_best=0)
    assert save(kept, 10).step == 10
    assert names(own) == ["step-00000010"]
    assert open_checkpoint(foreign).step == 5
    manager(own)


# ---- a save that must not count ------------------------------------------------------------------


def writing_old_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, what reaches the disk is a state of before."""
    from codex_ml.checkpointing import manager as module

    write = module.write_tensors
    monkeypatch.setattr(module, "write_tensors", lambda path, _: write(path, tensors(1)))


def test_a_file_that_does_not_hold_the_live_state_is_found_and_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = manager(tmp_path)
    before = save(kept, 1)
    writing_old_tensors(monkeypatch)
    with pytest.raises(CheckpointLoadError) as caught:
        save(kept, 2)
    assert caught.value.code == "checkpoint.stale"
    assert "step 2" in str(caught.value)
    assert names(tmp_path) == ["step-00000001"]
    assert (tmp_path / "latest").read_text() == "step-00000001\n"
    found = manager(tmp_path).load_latest()
    assert found is not None and found.manifest == before.manifest


def test_without_the_space_it_needs_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.checkpointing import manager as module

    kept = manager(tmp_path)
    save(kept, 1)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(StorageError) as caught:
        save(kept, 2)
    assert caught.value.code == "storage.full"
    assert "MB free" in str(caught.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    monkeypatch.undo()
    assert save(kept, 2).step == 2


# ---- the newest good one -------------------------------------------------------------------------


def test_a_damaged_newest_is_set_aside_with_its_reason_and_the_one_before_is_used(tmp_path: Path) -> None:
    kept = manager(tmp_path, keep_last=4)
    for step in (10, 20, 30, 40):
        save(kept, step)
    for step in (30, 40):
        (tmp_path / f"step-{step:08d}" / "state.json").write_text("{}")
    said: list[str] = []
    found = newest_good(tmp_path, set_aside=True, report=said.append)
    assert found is not None and found.step == 20
    assert steps(tmp_path) == [10, 20]
    aside = sorted(tmp_path.glob(".corrupt-*"))
    assert [path.name[:22] for path in aside] == [".corrupt-step-00000030", ".corrupt-step-00000040"]
    assert all("state.json" in (path / "REASON.txt").read_text() for path in aside)
    assert ["20 steps" in text for text in said] == [True, False]
    assert newest_good(tmp_path, set_aside=True, report=said.append) == found
    assert len(said) == 2


def test_when_none_is_good_every_reason_is_told_and_nothing_moves(tmp_path: Path) -> None:
    kept = manager(tmp_path)
    for step in (10, 20):
        save(kept, step)
        (tmp_path / f"step-{step:08d}" / "state.json").write_text("{}")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(CheckpointLoadError) as caught:
        newest_good(tmp_path, set_aside=True)
    assert caught.value.code == "checkpoint.none"
    assert "step-00000010" in str(caught.value) and "step-00000020" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert newest_good(tmp_path / "absent", set_aside=True) is None
    (tmp_path / "step-1").mkdir()
    (tmp_path / "other").mkdir()
    assert newest_good(tmp_path, set_aside=True) is None


# ---- retention -----------------------------------------------------------------------------------


def test_the_newest_and_the_best_stay_and_the_pointers_name_them(tmp_path: Path) -> None:
    kept = manager(tmp_path, keep_last=2, keep_best=1)
    for step, loss in [(1, 3.0), (2, 1.0), (3, 2.0), (4, None), (5, math.nan), (6, 1.0)]:
        save(kept, step, loss)
        assert (tmp_path / "latest").read_text() == f"step-{step:08d}\n"
        assert step in steps(tmp_path)
    assert steps(tmp_path) == [2, 5, 6]
    assert (tmp_path / "best").read_text() == "step-00000002\n"
    for step in steps(tmp_path):
        open_checkpoint(tmp_path / f"step-{step:08d}")


def test_nothing_is_pruned_for_a_checkpoint_that_cannot_be_published(tmp_path: Path) -> None:
    kept = manager(tmp_path, keep_last=2, keep_best=0)
    for step in (1, 2):
        save(kept, step)
    with pytest.raises(ValueError, match="JSON"):
        save(kept, 3, state={"loss": math.nan})
    assert steps(tmp_path) == [1, 2]
    assert (tmp_path / "latest").read_text() == "step-00000002\n"
    assert not list(tmp_path.glob(".tmp-*"))


def test_what_a_kill_left_unpruned_is_pruned_when_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = manager(tmp_path, keep_last=2, keep_best=1)
    with monkeypatch.context() as killed:
        killed.setattr(CheckpointManager, "_settle", lambda *_: None)
        for step, loss in [(1, 3.0), (2, 1.0), (3, 2.0), (4, 2.5), (5, 4.0)]:
            save(kept, step, loss)
    assert steps(tmp_path) == [1, 2, 3, 4, 5] and not (tmp_path / "latest").exists()
    found = manager(tmp_path).load_latest()
    assert found is not None and found.step == 5
    assert steps(tmp_path) == [2, 4, 5]
    assert (tmp_path / "latest").read_text() == "step-00000005\n"
    assert (tmp_path / "best").read_text() == "step-00000002\n"


def test_the_metric_of_the_policy_ranks_and_its_mode_says_which_end_is_better(tmp_path: Path) -> None:
    policy = Retention(1, 1, keep_every=0, metric="token_accuracy", mode="max")
    kept = CheckpointManager(tmp_path, policy=policy)
    for step, accuracy in [(1, 0.1), (2, 0.9), (3, 0.5)]:
        save(kept, step, metrics={"loss": accuracy, "token_accuracy": accuracy})
    assert steps(tmp_path) == [2, 3]
    assert (tmp_path / "best").read_text() == "step-00000002\n"


def test_going_back_to_an_earlier_checkpoint_sets_the_later_ones_aside(tmp_path: Path) -> None:
    """Else they would outlive, by their number, every checkpoint that is saved from here on."""
    kept = manager(tmp_path, keep_last=2, keep_best=0)
    for step in (10, 20):
        save(kept, step)
    back = kept.resume_from(tmp_path / "step-00000010")
    assert back.step == 10 and steps(tmp_path) == [10]
    assert len(list(tmp_path.glob(".later-step-00000020-*"))) == 1
    assert save(kept, 12).path.is_dir()
    newest = manager(tmp_path).load_latest()
    assert newest is not None and newest.step == 12


def test_opening_sweeps_what_a_kill_left(tmp_path: Path) -> None:
    save(manager(tmp_path), 1)
    for name in (".tmp-step-00000002-ab", ".trash-step-00000000-cd"):
        (tmp_path / name).mkdir()
    manager(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step-00000001"]


def test_a_checkpoint_that_cannot_be_read_is_set_aside_like_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.checkpointing import reader

    kept = manager(tmp_path, keep_last=5)
    for step in (1, 2):
        save(kept, step)
    real = reader.verify_directory

    def bad_sector(path: Path) -> dict[str, Any]:
        if path.name == "step-00000002":
            raise OSError(5, "Input/output error", str(path))
        return real(path)

    monkeypatch.setattr(reader, "verify_directory", bad_sector)
    found = kept.load_latest()
    assert found is not None
    assert found.step == 1
