"""Save, verify, fall back, prune: on real checkpoints of real tensors."""

from __future__ import annotations

import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from codex_ml.checkpointing.manager import CheckpointManager
from codex_ml.checkpointing.reader import list_checkpoints, newest_good, open_checkpoint, step_of
from codex_ml.core.publish import MANIFEST, seal
from codex_ml.errors import CheckpointLoadError

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


def manager(path: Path, *, keep_last: int = 2, keep_best: int = 1) -> CheckpointManager:
    return CheckpointManager(path, keep_last=keep_last, keep_best=keep_best)


def save(target: CheckpointManager, step: int, metric: float | None = None) -> Any:
    return target.save(step, model=tensors(step), optimizer=tensors(step + 1), state=STATE, metric=metric)


def steps(path: Path) -> list[int]:
    return sorted(step for found in list_checkpoints(path) if (step := step_of(found)) is not None)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One published checkpoint, to be copied."""
    return save(manager(tmp_path_factory.mktemp("sound")), 7, metric=0.25).path


def refused(path: Path) -> CheckpointLoadError:
    with pytest.raises(CheckpointLoadError) as caught:
        open_checkpoint(path)
    assert caught.value.exit_code == 3
    return caught.value


# ---- one checkpoint ------------------------------------------------------------------------------


def test_what_is_loaded_is_what_was_saved_bit_for_bit(tmp_path: Path) -> None:
    import torch

    saved = save(manager(tmp_path), 7, metric=0.25)
    loaded = manager(tmp_path).load_latest()
    assert loaded is not None
    assert (loaded.step, loaded.weights, loaded.manifest["metric"]) == (7, saved.weights, 0.25)
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


def test_the_good_checkpoint_of_a_step_is_not_written_again(tmp_path: Path) -> None:
    kept = manager(tmp_path)
    first = save(kept, 7)
    inode = (first.path / "model.safetensors").stat().st_ino
    again = kept.save(7, model=tensors(99), optimizer={}, state={}, metric=None)
    assert again.weights == first.weights
    assert (again.path / "model.safetensors").stat().st_ino == inode


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
    for step, metric in [(1, 3.0), (2, 1.0), (3, 2.0), (4, None), (5, math.nan), (6, 1.0)]:
        save(kept, step, metric)
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
        kept.save(3, model=tensors(), optimizer={}, state={"loss": math.nan}, metric=None)
    assert steps(tmp_path) == [1, 2]
    assert (tmp_path / "latest").read_text() == "step-00000002\n"
    assert not list(tmp_path.glob(".tmp-*"))


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
