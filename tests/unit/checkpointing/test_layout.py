from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from codex_ml.checkpointing.layout import list_checkpoints, name_of, revision_of, step_of


@given(st.integers(0, 10**12), st.integers(0, 10**4))
def test_a_name_says_step_and_revision(step: int, revision: int) -> None:
    path = Path("checkpoints") / name_of(step, revision)
    assert (step_of(path), revision_of(path)) == (step, revision)


def test_a_first_save_has_no_revision_in_its_name() -> None:
    assert [name_of(100, revision) for revision in (0, 1)] == ["step-00000100", "step-00000100.r1"]


def test_checkpoints_are_listed_newest_first_and_nothing_else_is(tmp_path: Path) -> None:
    wanted = ["step-123456789", "step-00000012.r10", "step-00000012.r2", "step-00000012", "step-00000003"]
    others = [".corrupt-step-00000001-ab", ".tmp-step-00000001-ab", "step-1", "step-00000001.rx", "best"]
    for name in sorted([*wanted, *others]):
        (tmp_path / name).mkdir()
    (tmp_path / "step-00000099").write_text("a file")
    assert [path.name for path in list_checkpoints(tmp_path)] == wanted
    assert list_checkpoints(tmp_path / "absent") == []
