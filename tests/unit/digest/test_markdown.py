"""Markdown lists become tasks: boxes, numbers, nesting, headings, commands, dependencies, checks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest.markdown import looks_like_tasks, read_tasks
from codex_ml.errors import DataError

PAGE = """\
# Release

Some words before the list, with `code`.

## Preparation
- [x] T1: Pin the dependencies, run `pip install -r requirements.txt`
- [ ] **T2**: Make the tests pass (after: T1) (check: `pytest -q`)
  - [ ] fix the loader
    ```bash
    # a comment
    $ pytest tests/test_loader.py \\
        -k shuffle
    ```
  - [ ] fix the `config.yaml` reader; depends on fix the loader
    and this line belongs to it: `ruff check src`

## Steps
1. build it with `make build`
2. upload
3. announce, after: T2, step 1

```python
- [ ] not a task
```
"""


def test_a_page_becomes_its_tasks() -> None:
    boxed = PAGE.replace("1. ", "1. [ ] ").replace("2. ", "2. [ ] ").replace("3. ", "3. [ ] ")
    rows = {task.id: task for task in read_tasks(boxed)}
    assert list(rows) == ["T1", "T2", "t3", "t4", "t5", "t6", "t7"]
    assert {name: task.depends_on for name, task in rows.items()} == {
        "T1": (),
        "T2": ("t3", "t4", "T1"),
        "t3": (),
        "t4": ("t3",),
        "t5": (),
        "t6": ("t5",),
        "t7": ("t6", "T2", "t5"),
    }
    assert rows["T1"].status == "done" and rows["T2"].status == "open"
    assert rows["T1"].commands == ("pip install -r requirements.txt",)
    assert rows["t3"].commands == ("pytest tests/test_loader.py -k shuffle",)
    assert rows["t4"].commands == ("ruff check src",)
    assert rows["T2"].title == "Make the tests pass"
    assert rows["T2"].check.command == "pytest -q"
    assert rows["t5"].check.command == "make build"
    assert rows["t6"].check.text.startswith("a person sees")
    assert [rows[name].group for name in ("T1", "t4", "t7")] == ["Preparation", "Preparation", "Steps"]


def test_without_any_box_every_item_is_a_task_and_numbers_are_an_order() -> None:
    tasks = read_tasks("# Plan\n1. one\n2. two\n   - part of two\n3. three\n")
    assert [(task.title, task.depends_on) for task in tasks] == [
        ("one", ()),
        ("two", ("t3", "t1")),
        ("part of two", ()),
        ("three", ("t2",)),
    ]


def test_where_there_are_boxes_other_items_are_notes_of_the_task_above() -> None:
    (task,) = read_tasks("- [ ] fix it\n  - run: `make test`\n  - because it broke\n")
    assert task.commands == ("make test",)
    assert "because it broke" in task.why


def test_crlf_tabs_and_stars_are_read_like_the_rest() -> None:
    tasks = read_tasks("* [ ] one\r\n\t+ [X] two\r\n")
    assert [(task.title, task.status, task.depends_on) for task in tasks] == [
        ("one", "open", ("t2",)),
        ("two", "done", ()),
    ]


def test_a_dependency_that_is_no_task_is_an_error_with_its_line() -> None:
    with pytest.raises(DataError, match=r"line 2.*did you mean 'build'") as caught:
        read_tasks("- [ ] build\n- [ ] ship, after: biuld\n")
    assert caught.value.code == "digest.dependency"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("- [ ] a", True),
        ("# Plan\n- a\n- b\n", True),
        ("1. a\n2. b\n", True),
        ("Traceback (most recent call last):\n", False),
        ("words\n- one\nmore\nwords\nhere\n", False),
        ("", False),
    ],
)
def test_a_list_of_tasks_is_told_by_its_content(text: str, wanted: bool) -> None:
    assert looks_like_tasks(text) is wanted


@given(st.text("-*+[]x 1.#`\n\tab:(),", max_size=200))
def test_any_text_is_read_or_refused_with_a_code(text: str) -> None:
    code, tasks = "", ()
    try:
        tasks = read_tasks(text)
    except DataError as error:
        code = error.code
    assert code in ("", "digest.dependency")
    assert all(task.title and task.check.text for task in tasks)


@pytest.mark.parametrize("language", ["", "python", "text"])
def test_prose_in_a_block_that_says_of_no_shell_is_no_command(language: str) -> None:
    (task,) = read_tasks(f"- [ ] see it\n  ```{language}\n  - [ ] not a task\n  make it so\n  ```\n")
    assert (task.title, task.commands, task.check.command) == ("see it", (), None)


@pytest.mark.parametrize("language", ["", "console", "sh"])
def test_where_a_block_has_prompts_they_begin_its_commands_and_the_rest_is_output(language: str) -> None:
    block = f"```{language}\n  $ make \\\n      all\n  make: done\n  $ tox\n  # 3 passed\n"
    for end in ("  ```\n", ""):  # a block that nothing ends, too
        (task,) = read_tasks(f"- [ ] build\n  {block}{end}")
        assert task.commands == ("make all", "tox")


def test_what_the_user_allowed_is_a_command_and_a_check_in_back_ticks() -> None:
    text = "- [ ] mark it `touch x`, check: `test -e x`\n- [ ] see `touchy x`\n"
    assert [task.commands for task in read_tasks(text)] == [(), ()]
    first, second = read_tasks(text, [("touch",), ("test", "-e")])
    assert (first.commands, first.check.command) == (("touch x",), "test -e x")
    assert second.commands == ()
