from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.checkpointing.retention import remove, sweep, to_keep

METRICS = st.dictionaries(
    st.integers(0, 30),
    st.none() | st.just(math.nan) | st.sampled_from([0.5, 1.0, 1.5, 2.0]) | st.floats(0, 10),
    max_size=12,
)


@given(METRICS, st.integers(2, 5), st.integers(0, 4))
def test_what_stays_is_what_a_simple_model_says(
    metrics: dict[int, float | None], keep_last: int, keep_best: int
) -> None:
    kept, best = to_keep(metrics, keep_last=keep_last, keep_best=keep_best)

    def newer(step: int) -> int:
        return sum(other > step for other in metrics)

    def ranked(step: int) -> bool:
        value = metrics[step]
        return value is not None and value == value

    def better(step: int) -> int:
        return sum(
            ranked(other) and (metrics[other], other) < (metrics[step], step)  # type: ignore[operator]
            for other in metrics
        )

    for step in metrics:
        wanted = newer(step) < keep_last or (ranked(step) and better(step) < keep_best)
        assert (step in kept) == wanted
    assert best == next((step for step in metrics if ranked(step) and better(step) == 0), None)
    assert max(metrics, default=None) == max(kept, default=None)
    assert len(kept) >= min(len(metrics), keep_last)


def test_of_equal_metrics_the_earlier_checkpoint_is_the_best() -> None:
    assert to_keep({10: 1.0, 20: 1.0, 30: 1.0, 40: 2.0}, keep_last=1, keep_best=1) == ({40, 10}, 10)


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


@pytest.mark.parametrize("keep_best", [0, 3])
def test_no_checkpoints_keep_nothing(keep_best: int) -> None:
    assert to_keep({}, keep_last=2, keep_best=keep_best) == (set(), None)
