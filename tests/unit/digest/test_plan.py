"""The plan's JSON is valid under its published schema, deterministic, and its page can be read again."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest.document import Document, checked_date, read_document
from codex_ml.digest.plan import Plan, make_plan, plan_schema
from codex_ml.digest.render import digest_record, render_digest
from codex_ml.digest.tasks import Check, Task
from codex_ml.errors import DataError, UsageError

pytestmark = pytest.mark.needs("dev")  # jsonschema
FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "digest"
LOGS = sorted(path.name for path in FOLDER.glob("*.log"))


def document(data: bytes, **options: str | None) -> Document:
    return read_document(io.BytesIO(data), name="ci.log", kind=options.get("kind"), date=options.get("date"))


def check(document: Document) -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(plan_schema())
    Draft202012Validator(plan_schema()).validate(json.loads(json.dumps(document.plan.record())))


@pytest.mark.parametrize("name", LOGS)
def test_the_plan_of_every_labelled_log_is_valid_ordered_and_the_same_each_time(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    first, second = document(data, date="2025-09-05"), document(data, date="2025-09-05")
    check(first)
    assert digest_record(first.digest, first.plan) == digest_record(second.digest, second.plan)
    assert render_digest(first.digest, first.plan) == render_digest(second.digest, second.plan)
    seen: set[str] = set()
    for task in first.plan.tasks:
        assert set(task.depends_on) <= seen
        assert task.check.text
        seen.add(task.id)


def test_the_first_failure_comes_first_and_the_whole_run_last() -> None:
    plan = document((FOLDER / "pytest-xdist.log").read_bytes()).plan
    assert [task.id for task in plan.tasks] == ["t1", "t2", "t3"]
    assert plan.tasks[0].commands == ("pytest tests/test_b.py::test_two",)
    assert plan.tasks[1].depends_on == ("t1",)
    assert plan.tasks[2].depends_on == ("t1", "t2")


def test_the_page_of_a_plan_is_a_list_of_tasks_that_is_read_again() -> None:
    plan = document((FOLDER / "nox-sessions.log").read_bytes()).plan
    page = render_digest(None, plan)
    again = document(page.encode())
    assert again.plan.kind == "tasks"
    assert [(task.id, task.depends_on, task.commands) for task in again.plan.tasks] == [
        (task.id, task.depends_on, task.commands) for task in plan.tasks
    ]


def _again(plan: Plan) -> Document:
    return document(render_digest(None, plan).encode(), kind="tasks")


@pytest.mark.parametrize(
    "title",
    [
        "Fix ValueError: this config requires: a tokenizer",
        "Fix the job that depends on gpu and is blocked by disk",
        "Fix check: `make x` (after: T9), verify: <b>x</b> [a](b) - expect: y",
        "Fix <img src=x onerror=alert(1)> ![x](http://x) **b** __init__ a_b ~~c~~ &lt; &#32; | \\ ``` `x",
    ],
)
def test_a_page_is_read_again_and_shows_its_titles_whatever_they_hold(title: str) -> None:
    first = Task("capability-a", title, Check(title), why=title, evidence=(title,), commands=("make a",))
    last = Task("t2", "last", Check("seen", "make b"), depends_on=("capability-a",))
    plan = make_plan([first, last], title=title, source="s", kind="tasks", sha256="0" * 64)
    page = render_digest(None, plan)
    again = _again(plan).plan.tasks
    assert [(task.id, task.depends_on) for task in again] == [("capability-a", ()), ("t2", ("capability-a",))]
    assert again[0].title == title.strip(" .;,:—–-")
    assert again[0].commands == ("make a",) and again[1].check.command == "make b"
    assert not re.search(r"(?<!\\)(?:<img|<b>|!?\[(?! \]|x\])|\*\*b|~~c)", page)


_TITLE = st.text("ab:x `*_[]()<>!\\&#;.,~|-", min_size=1, max_size=40)
_WORDS = st.lists(
    st.one_of(
        _TITLE, st.sampled_from(["after: a", "requires:", "depends on", "check:", "(id: x)", "`make x`"])
    ),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(_WORDS, _WORDS)
def test_the_page_of_any_plan_is_read_again_as_the_same_tasks(title: str, words: str) -> None:
    tasks = [
        Task("t1", "a" + title, Check("a" + words, None), commands=("make a", "pytest -k 'a b'"), why=words),
        Task("finding-x", "b", Check("seen", "make b"), depends_on=("t1",), evidence=(words,)),
    ]
    plan = make_plan(tasks, title=words, source="s", kind="tasks", sha256="0" * 64)
    again = _again(plan).plan.tasks
    assert [(task.id, task.depends_on, task.commands) for task in again] == [
        (task.id, task.depends_on, task.commands) for task in plan.tasks
    ]
    assert again[0].title == " ".join(("a" + title).split()).strip(" .;,:—–-")
    assert again[1].check.command == "make b"


def test_an_empty_input_says_so_and_has_nothing_to_do() -> None:
    empty = document(b"")
    check(empty)
    assert empty.plan.tasks == ()
    assert "The input is empty." in render_digest(empty.digest, empty.plan)


def test_a_digest_has_no_time_of_its_own() -> None:
    text = render_digest(*_parts(document((FOLDER / "make-only.log").read_bytes())))
    assert "Question for ChatGPT @codex:" in text
    dated = render_digest(*_parts(document((FOLDER / "make-only.log").read_bytes(), date="2025-09-05")))
    assert "Question for ChatGPT @codex 2025-09-05:" in dated


def _parts(document: Document) -> tuple:
    return document.digest, document.plan


def test_the_date_is_given_or_that_of_the_epoch_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert checked_date(None) is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert checked_date(None) == "1970-01-02"
    assert checked_date("2025-09-05") == "2025-09-05"
    for wrong in ("yesterday", "2025-13-01"):
        with pytest.raises(UsageError) as caught:
            checked_date(wrong)
        assert caught.value.code == "digest.date"


SECRETS = ["ghp_" + "a1B2" * 9, "hf_" + "Qw3E" * 9, "sk-ant-" + "Zx9c" * 8, "AKIA" + "Q7W3E5R1T9Y2U4I6"]


@given(st.sampled_from(SECRETS), st.sampled_from(LOGS), st.data())
def test_a_secret_planted_in_any_line_is_in_no_output(secret: str, name: str, data: st.DataObject) -> None:
    lines = (FOLDER / name).read_bytes().replace(b"\0", b"").splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] += b" " + secret.encode()
    found = document(b"\n".join(lines))
    text = render_digest(found.digest, found.plan) + json.dumps(digest_record(found.digest, found.plan))
    assert secret not in text


@given(st.binary(max_size=300))
def test_any_bytes_are_read_as_a_log_and_give_a_valid_plan(data: bytes) -> None:
    code = ""
    try:
        check(document(data, kind="log"))
    except DataError as error:
        code = error.code
    assert code in ("", "digest.binary")


def test_a_step_that_was_not_numbered_gets_no_number() -> None:
    found = document(b"ModuleNotFoundError: No module named 'x'\nmake: *** [test] Error 1\n")
    assert " in step `make test`. Root cause first:" in render_digest(found.digest, found.plan)
