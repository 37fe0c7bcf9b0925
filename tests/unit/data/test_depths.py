from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.data.depths import GroupDepths
from codex_ml.data.document import Document
from codex_ml.data.sources.common import group_of
from codex_ml.data.split import assign
from corpora import data_config

pytestmark = pytest.mark.needs("train")

PATHS = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map(lambda parts: "/".join(parts) + ".py"),
    unique=True,
    max_size=12,
)


def found(paths: list[str], *, depth: int) -> int | None:
    depths = GroupDepths(data_config(group_depth=depth))
    for path in paths:
        depths.add(Document(id=path, group=group_of(path, depth=depth), path=path, raw=b""))
    return depths.smallest()


@given(PATHS, st.integers(1, 3))
def test_the_depth_is_the_one_that_trying_all_of_them_finds(paths: list[str], depth: int) -> None:
    cfg = data_config().split
    deepest = max([depth, *(len(PurePosixPath(path).parts) for path in paths)])
    wanted = None
    for tried in range(deepest, depth - 1, -1):
        groups = {group_of(path, depth=tried) for path in paths}
        if len(groups) >= 3 and {assign(group, cfg=cfg) for group in groups} == {"train", "validation"}:
            wanted = tried
    assert found(paths, depth=depth) == wanted


def test_groups_of_another_kind_get_no_depth() -> None:
    depths = GroupDepths(data_config())
    for number in range(20):
        depths.add(Document(id=str(number), group=f"sha256:{number}", path="rows.jsonl", raw=b""))
    assert depths.smallest() is None


def test_a_path_of_a_thousand_folders_is_followed_to_a_bound_only() -> None:
    assert found(["a/" * 1000 + f"{name}.py" for name in range(9)], depth=1) is None
