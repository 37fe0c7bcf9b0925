from __future__ import annotations

import math
import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from codex_ml.checkpointing.retention import Kept, Retention, remove, sweep, to_keep

HISTORIES = int(os.environ.get("CODEX_TORTURE_HISTORIES", "200"))


# ---- a simple model of the policy ----------------------------------------------------------------


def counting(found: Iterable[Kept]) -> list[Kept]:
    """What counts of each step: its last revision."""
    rows = list(found)
    return [a for a in rows if not any(b.step == a.step and b.revision > a.revision for b in rows)]


def loss(item: Kept, policy: Retention) -> float | None:
    """The value as one to be minimised; None for a checkpoint that is not ranked."""
    if item.value is None or math.isnan(item.value) or not item.scheduled:
        return None
    return item.value if policy.mode == "min" else -item.value


def better(item: Kept, others: Sequence[Kept], policy: Retention) -> int:
    """How many of *others* rank before *item*; of equal values the earlier step does."""
    own = loss(item, policy)
    assert own is not None
    places = [(value, other.step) for other in others if (value := loss(other, policy)) is not None]
    return sum(place < (own, item.step) for place in places)


def stays(item: Kept, others: Sequence[Kept], policy: Retention) -> bool:
    if all(other.step <= item.step for other in others):
        return True
    if not item.scheduled:
        return False
    if sum(other.scheduled and other.step > item.step for other in others) < policy.keep_last:
        return True
    if policy.keep_every and item.step % policy.keep_every == 0:
        return True
    return loss(item, policy) is not None and better(item, others, policy) < policy.keep_best


def expected(found: Iterable[Kept], policy: Retention) -> tuple[set[Kept], Kept | None]:
    rows = counting(found)
    ranked = [row for row in rows if loss(row, policy) is not None]
    best = [row for row in ranked if better(row, rows, policy) == 0]
    return {row for row in rows if stays(row, rows, policy)}, best[0] if best else None


# ---- random histories ----------------------------------------------------------------------------


def random_policy(rng: random.Random) -> Retention:
    return Retention(
        keep_last=rng.randint(1, 4),
        keep_best=rng.randint(0, 3),
        keep_every=rng.choice([0, 0, 1, 3, 4, 10]),
        metric="loss",
        mode=rng.choice(["min", "max"]),
    )


def random_value(rng: random.Random) -> float | None:
    """Few distinct values, so that ties are common."""
    return rng.choice([None, math.nan, 0.5, 1.0, 1.0, 1.5, -1.0, math.inf, rng.random()])


def random_history(rng: random.Random) -> list[Kept]:
    """Saves in their order. A signal may ask for any; an evaluation may make a revision of the newest."""
    saves: list[Kept] = []
    for step in sorted(rng.sample(range(1, 60), rng.randint(0, 25))):
        if rng.random() < 0.3:
            saves.append(Kept(step, 0, None, scheduled=rng.random() < 0.3))
            if rng.random() < 0.4:
                continue
        revision = int(bool(saves) and saves[-1].step == step)
        saves.append(Kept(step, revision, random_value(rng)))
    return saves


def wild_history(rng: random.Random) -> list[Kept]:
    """Any revisions of any steps, whether a run can make them or not."""
    places = {(rng.randint(0, 20), rng.randint(0, 2)) for _ in range(rng.randint(0, 25))}
    return [Kept(*place, random_value(rng), rng.random() < 0.7) for place in sorted(places)]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_of_equal_metrics_the_earlier_checkpoint_is_the_best(mode: str) -> None:
    policy = Retention(1, 1, keep_every=0, metric="loss", mode=mode)  # type: ignore[arg-type]
    worse = 2.0 if mode == "min" else 0.0
    found = [Kept(10, 0, 1.0), Kept(20, 0, 1.0), Kept(30, 0, 1.0), Kept(40, 0, worse)]
    assert to_keep(found, policy) == ({found[3], found[0]}, found[0])


def test_what_stays_of_a_random_history_is_what_a_simple_model_says() -> None:
    for seed in range(HISTORIES):
        rng = random.Random(seed)
        for saves in (random_history(rng), wild_history(rng)):
            policy, shuffled = random_policy(rng), rng.sample(saves, len(saves))
            assert to_keep(shuffled, policy) == expected(saves, policy), (seed, policy, saves)


def test_a_kill_between_save_and_pruning_changes_nothing_that_stays_in_the_end() -> None:
    """Pruning after every save, after some of them, or once at the end gives the same set."""
    for seed in range(HISTORIES):
        rng = random.Random(seed)
        policy, saves = random_policy(rng), random_history(rng)
        pruned: set[Kept] = set()
        killed: set[Kept] = set()
        for item in saves:
            pruned, _ = to_keep({*pruned, item}, policy)
            killed |= {item}
            if rng.random() < 0.5:
                killed, _ = to_keep(killed, policy)
        at_the_end, best = to_keep(saves, policy)
        for found in (pruned, killed):
            assert to_keep(found, policy)[0] == at_the_end, (seed, policy, saves)
            if policy.keep_best:  # without, nothing holds the best one for good
                assert to_keep(found, policy)[1] == best, (seed, policy, saves)


def test_an_interrupted_history_ends_with_the_checkpoints_of_an_uninterrupted_one() -> None:
    for seed in range(HISTORIES):
        rng = random.Random(seed)
        policy, saves = random_policy(rng), random_history(rng)
        planned = [item for item in counting(saves) if item.scheduled]
        last = Kept(100, 0, 1.0)
        assert to_keep([*saves, last], policy) == to_keep([*planned, last], policy), (seed, policy, saves)


# ---- single rules --------------------------------------------------------------------------------


def test_a_checkpoint_that_a_signal_asked_for_stays_until_there_is_a_newer_one() -> None:
    policy = Retention(2, 1, keep_every=5, metric="loss", mode="min")
    asked = Kept(5, 0, 0.1, scheduled=False)
    assert to_keep([Kept(4, 0, 1.0), asked], policy) == ({Kept(4, 0, 1.0), asked}, Kept(4, 0, 1.0))
    kept, _ = to_keep([Kept(4, 0, 1.0), asked, Kept(6, 0)], policy)
    assert asked not in kept


def test_every_n_th_step_stays_for_good() -> None:
    policy = Retention(1, 0, keep_every=4, metric="loss", mode="min")
    kept, _ = to_keep([Kept(step, 0) for step in range(1, 15)], policy)
    assert sorted(item.step for item in kept) == [4, 8, 12, 14]


@pytest.mark.parametrize("keep_best", [0, 3])
def test_no_checkpoints_keep_nothing(keep_best: int) -> None:
    assert to_keep([], Retention(2, keep_best, keep_every=3, metric="loss", mode="min")) == (set(), None)


# ---- directories ---------------------------------------------------------------------------------


def test_a_removed_directory_is_gone_and_nothing_beside_it(tmp_path: Path) -> None:
    for name in ("step-00000001", "step-00000002"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    remove(tmp_path / "step-00000001")
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def test_what_a_kill_left_is_swept_and_everything_else_stays(tmp_path: Path) -> None:
    for name in (".tmp-step-00000003-ab", ".trash-step-00000001-cd", ".corrupt-step-00000002-ef"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    (tmp_path / ".tmp-latest-12").write_text("step")
    (tmp_path / "latest").write_text("step")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".corrupt-step-00000002-ef", "latest"]
