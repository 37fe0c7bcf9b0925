"""One entry point more, between the lines that are there; in each form of pyproject.toml that has a place."""

from __future__ import annotations

import difflib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.errors import ConflictError, UsageError
from codex_ml.scaffold.entry_points import entry_points, with_entry_point

GROUP = "codex_ml.trackers"
FORMS = {
    "bare": '[project]\nname = "p"\n',
    "no end of the last line": '[project]\nname = "p"',
    "blank lines at the end": '[project]\nname = "p"\n\n\n',
    "tools after it": '[project]\nname = "p"\n\n# checked\n# by ruff\n[tool.ruff]\nline-length = 9\n',
    "tools before it": '[tool.ruff]\nline-length = 99\n\n[project]\nname = "p"\n',
    "tables after tools": '[project]\nname = "p"\n[tool.a]\nb = 1\n[project.urls]\nc = "d"\n',
    "another group": '[project]\nname = "p"\n[project.entry-points."codex_ml.metrics"]\na = "b:c"\n[tool.x]',
    "the group at the end": f'[project]\nname = "p"\n[project.entry-points."{GROUP}"]',
    "the group": f'[project]\nname = "p"\n[project.entry-points."{GROUP}"]\na = "b:c"\n[tool.x]\n',
    "the group, empty": f'[project]\nname = "p"\n[project.entry-points."{GROUP}"]\n',
    "single quotes": f"[project]\nname = 'p'\n[project.entry-points.'{GROUP}']\na = 'b:c'\n",
    "blanks and a comment": f'[project]\nname="p"\n [ project . "entry-points" . "{GROUP}" ] # mine\na="b"\n',
    "an open table": '[project]\nname = "p"\n[project.entry-points]\n',
    "an inline table beside": '[project]\nname = "p"\n[project.entry-points]\n"codex_ml.metrics" = {a="b:c"}',
    "a comment at the end": '[project]\nname = "p"\n# the end\n',
}
WITHOUT_A_PLACE = {
    "the group inline": f'[project]\nname = "p"\n[project.entry-points]\n"{GROUP}" = {{a = "b:c"}}\n',
    "the table inline": '[project]\nname = "p"\nentry-points = {}\n',
    "dotted keys": f'[project]\nname = "p"\nentry-points."{GROUP}".a = "b:c"\n',
    "the project inline": 'project = {name = "p"}\n',
    "in a text": '[project]\nname = "p"\ndescription = """\n[tool.x]\n"""\n',
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("form", FORMS)
def test_it_is_there_and_every_other_line_is_as_it_was(form: str, ends: str) -> None:
    text = FORMS[form].replace("\n", ends)
    after = with_entry_point(text, "trackers", "mine", "my_parts.mine:Mine")
    before, found = tomllib.loads(text), tomllib.loads(after)
    assert entry_points(found)[GROUP].pop("mine") == "my_parts.mine:Mine"
    assert found["project"]["entry-points"][GROUP].pop("mine") == "my_parts.mine:Mine"
    before["project"].setdefault("entry-points", {}).setdefault(GROUP, {})
    assert found == before
    rows = [row for row in text.split(ends) if row]
    assert [row for row in after.split(ends) if row in rows and row] == rows
    assert after.count("\n") == after.count(ends)
    assert after.endswith(ends) and not after.endswith(ends * 2)


def test_a_comment_stays_with_the_table_it_stands_above() -> None:
    after = with_entry_point(FORMS["tools after it"], "trackers", "mine", "a:b")
    assert "# checked\n# by ruff\n[tool.ruff]" in after


@pytest.mark.parametrize("form", WITHOUT_A_PLACE)
def test_where_it_has_no_place_the_line_is_told_and_nothing_is_changed(form: str) -> None:
    with pytest.raises(UsageError, match='by hand: mine = "a:b"') as caught:
        with_entry_point(WITHOUT_A_PLACE[form], "trackers", "mine", "a:b")
    assert caught.value.code == "scaffold.project"


def test_a_name_that_the_group_has_is_refused() -> None:
    for text in (FORMS["the group"], WITHOUT_A_PLACE["the group inline"]):
        with pytest.raises(ConflictError, match="a = b:c") as caught:
            with_entry_point(text, "trackers", "a", "d:e")
        assert caught.value.code == "scaffold.exists"


@pytest.mark.parametrize("text", ["entry-points = 3", "entry-points = []", 'entry-points = {a = "b"}'])
def test_entry_points_that_are_none_are_told(text: str) -> None:
    with pytest.raises(UsageError, match="no table of tables"):
        entry_points(tomllib.loads(f"[project]\n{text}\n"))


@given(
    st.lists(st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True), unique=True, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
)
def test_many_are_all_there_and_only_lines_are_added(names: list[str], ends: str) -> None:
    text = FORMS["tools after it"].replace("\n", ends)
    after = text
    for number, name in enumerate(names):
        after = with_entry_point(after, ("trackers", "metrics")[number % 2], name, f"p.{name}:x")
    points = entry_points(tomllib.loads(after))
    assert {name for group in points.values() for name in group} == set(names)
    changes = difflib.ndiff(text.splitlines(keepends=True), after.splitlines(keepends=True))
    assert not [row for row in changes if row.startswith("- ")]
