from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.store import find_or_build


def build_with(text: str) -> Any:
    def build(stage: Path, meta: dict[str, Any]) -> None:
        (stage / "content.txt").write_text(text)
        meta["length"] = len(text)

    return build


def never(stage: Path, meta: dict[str, Any]) -> None:
    raise AssertionError("must not be built again")


def test_an_entry_is_built_once_and_then_found(tmp_path: Path) -> None:
    entry = tmp_path / "things" / "abc"
    assert find_or_build(entry, build=build_with("hello"), meta={"kind": "t"})["length"] == 5
    assert find_or_build(entry, build=never, meta={"kind": "t"})["length"] == 5


def test_a_damaged_entry_is_named_set_aside_and_rebuilt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = tmp_path / "things" / "abc"
    find_or_build(entry, build=build_with("hello"), meta={})
    (entry / "content.txt").write_text("hellO")
    with caplog.at_level(logging.WARNING):
        find_or_build(entry, build=build_with("hello"), meta={})
    assert (entry / "content.txt").read_text() == "hello"
    assert [path.name for path in entry.parent.glob("abc.damaged-*")]
    assert "abc.damaged-" in caplog.text
    assert "content.txt" in caplog.text


def test_what_a_killed_builder_left_is_swept_away(tmp_path: Path) -> None:
    stale = tmp_path / "things" / ".tmp-abc-1234"
    stale.mkdir(parents=True)
    find_or_build(tmp_path / "things" / "abc", build=build_with("x"), meta={})
    assert not stale.exists()


def test_a_failing_builder_leaves_no_entry(tmp_path: Path) -> None:
    def fail(stage: Path, meta: dict[str, Any]) -> None:
        (stage / "half").write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        find_or_build(tmp_path / "things" / "abc", build=fail, meta={})
    assert list((tmp_path / "things").iterdir()) == []
