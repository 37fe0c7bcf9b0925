from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from codex_ml.core.workers import is_main, local_count, local_rank, worker_count, worker_rank

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def found(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> tuple[int, int, int, int, bool]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return worker_rank(), worker_count(), local_rank(), local_count(), is_main()


def test_a_process_on_its_own_is_the_main_one(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = (0, 1, 0, 1, True)
    assert found(monkeypatch, {}) == alone
    assert found(monkeypatch, dict(zip(NAMES, "0101", strict=True))) == alone


def test_what_is_left_over_in_the_environment_of_a_process_on_its_own_means_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = {"RANK": "3", "LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "4"}
    assert found(monkeypatch, left) == (0, 1, 0, 1, True)


@pytest.mark.parametrize("rank", range(4))
def test_torchrun_says_which_worker_this_is(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four workers on two machines."""
    variables = dict(zip(NAMES, (str(rank), "4", str(rank % 2), "2"), strict=True))
    assert found(monkeypatch, variables) == (rank, 4, rank % 2, 2, rank == 0)


def test_it_is_known_without_torch(run) -> None:
    program = "import sys, codex_ml.core.workers as w; print(w.is_main()); assert 'torch' not in sys.modules"
    done = run(sys.executable, "-c", program, env=dict.fromkeys(NAMES))
    assert done.out == "True\n", done.err
