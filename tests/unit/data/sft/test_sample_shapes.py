"""What a record becomes, and what is refused with its place, what was got and what was wanted."""

from __future__ import annotations

from typing import Any

import pytest

from codex_ml.data.sft.sample import Sample
from codex_ml.data.sft.shapes import SHAPES, detect, read_sample
from codex_ml.errors import DataError

pytestmark = pytest.mark.needs("train")
USER = {"role": "user", "content": "Write f."}
SAID = {"role": "assistant", "content": "def f(): ..."}


def read(record: dict[str, Any]) -> Sample:
    return read_sample(record, shape=detect(record, place="a.jsonl:3"), place="a.jsonl:3")


def refused(record: dict[str, Any], shape: str | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        read_sample(record, shape=shape or detect(record, place="a.jsonl:3"), place="a.jsonl:3")
    assert "a.jsonl:3" in caught.value.what
    assert caught.value.wanted or caught.value.got
    assert "\n" not in caught.value.line()
    return caught.value


def turns(sample: Sample) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in sample.messages]


@pytest.mark.parametrize(
    ("record", "shape"),
    [
        ({"messages": [USER, SAID]}, "chat"),
        ({"messages": [USER, SAID], "prompt": None, "completion": None}, "chat"),
        ({"prompt": "a", "completion": "b", "messages": None}, "prompt_completion"),
        ({"prompt": [USER], "completion": [SAID]}, "prompt_completion"),
        ({"instruction": "a", "input": "", "output": "b"}, "alpaca"),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, "sharegpt"),
    ],
)
def test_a_shape_is_told_by_its_keys(record: dict[str, Any], shape: str) -> None:
    assert detect(record, place="x:1") == shape


def test_every_shape_becomes_the_same_conversation() -> None:
    wanted = [("user", "Write f."), ("assistant", "def f(): ...")]
    records = [
        {"messages": [USER, SAID], "id": 7},
        {"prompt": [USER], "completion": [SAID]},
        {"prompt": [USER], "completion": SAID["content"]},
        {"prompt": USER["content"], "completion": [SAID]},
        {"instruction": USER["content"], "output": SAID["content"]},
        {"instruction": USER["content"], "input": None, "output": SAID["content"]},
        {
            "conversations": [
                {"from": "human", "value": USER["content"]},
                {"from": "gpt", "value": SAID["content"]},
            ]
        },
    ]
    for record in records:
        sample = read(record)
        assert turns(sample) == wanted
        assert sample.answers == [1]


def test_plain_texts_stay_plain() -> None:
    sample = read({"prompt": "", "completion": " b"})
    assert sample.plain == ("", " b")
    assert sample.messages == ()


def test_an_alpaca_input_stands_below_the_instruction() -> None:
    assert turns(read({"instruction": "Sort.", "input": "3 1", "output": "1 3"}))[0] == (
        "user",
        "Sort.\n\n3 1",
    )


def test_of_prompt_and_completion_only_the_turns_of_the_completion_are_trained() -> None:
    sample = read({"prompt": [USER, SAID, USER], "completion": [SAID, USER, SAID]})
    assert sample.answers == [3, 5]


def test_equal_roles_may_follow_each_other_and_the_last_turn_may_be_the_users() -> None:
    assert read({"messages": [USER, USER, SAID, SAID, USER]}).answers == [2, 3]


def test_tool_fields_are_kept_and_a_call_needs_no_words() -> None:
    calls = [{"type": "function", "function": {"name": "run", "arguments": {"x": 1}}}]
    record = {
        "messages": [USER, {"role": "assistant", "content": None, "tool_calls": calls, "name": None}],
        "tools": [{"name": "run"}],
    }
    sample = read(record)
    assert sample.messages[1].record() == {"role": "assistant", "content": "", "tool_calls": calls}
    assert sample.tools == ({"name": "run"},)


def test_an_unknown_role_is_refused_with_the_nearest_one() -> None:
    error = refused({"messages": [USER, {"role": "asistant", "content": "x"}]})
    assert (error.code, error.next_step) == ("sample.role", "did you mean 'assistant'?")
    assert "messages[1]" in error.what
    error = refused({"conversations": [{"from": "humen", "value": "x"}]})
    assert (error.code, error.next_step) == ("sample.role", "did you mean 'human'?")
    assert refused({"messages": [{"role": 3, "content": "x"}]}).code == "sample.role"


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"messages": []}, "sample.messages"),
        ({"messages": "x"}, "sample.messages"),
        ({"messages": ["x"]}, "sample.messages"),
        ({"messages": [{"from": "human", "value": "x"}]}, "sample.messages"),
        ({"messages": [USER, {"role": "assistant", "content": " \n"}]}, "sample.empty"),
        ({"messages": [USER]}, "sample.no-answer"),
        ({"prompt": [USER, SAID], "completion": [USER]}, "sample.no-answer"),
        ({"messages": [USER, {"role": "assistant", "content": 3}]}, "sample.content"),
        ({"messages": [USER, {"role": "assistant"}]}, "sample.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}, SAID]}, "sample.content"),
        ({"messages": [USER, {"role": "assistant", "content": "\ud800"}]}, "data.encoding"),
        ({"messages": [USER, SAID], "tools": "run"}, "sample.content"),
        ({"messages": [USER, SAID | {"tool_calls": [float("nan")]}]}, "sample.content"),
        ({"messages": [USER, SAID], "tools": [{"x": "\ud800"}]}, "data.encoding"),
        ({"prompt": "a", "completion": " "}, "sample.empty"),
        ({"prompt": 3, "completion": "b"}, "sample.messages"),
        ({"instruction": 3, "output": "b"}, "sample.content"),
        ({"instruction": "a", "output": ""}, "sample.empty"),
        ({"instruction": "a", "input": 5, "output": "b"}, "sample.content"),
        ({"text": "x"}, "sample.shape"),
        ({}, "sample.shape"),
    ],
)
def test_what_is_no_sample_is_refused(record: dict[str, Any], code: str) -> None:
    assert refused(record).code == code


def test_another_shape_than_the_first_is_named_with_its_keys_and_what_was_wanted() -> None:
    error = refused({"instruction": "a", "output": "b"}, shape="chat")
    assert error.code == "sample.shape"
    assert "it is alpaca" in error.what
    assert error.got == "the keys instruction, output"
    assert error.wanted == SHAPES["chat"].wanted


def test_a_group_is_the_prompt_and_leaves_the_system_message_out() -> None:
    system = {"role": "system", "content": "Be brief."}
    groups = {
        read(record).prompt_group()
        for record in (
            {"messages": [USER, SAID]},
            {"messages": [system, USER, SAID, USER, SAID]},
            {"prompt": [USER], "completion": [{"role": "assistant", "content": "other"}]},
            {"instruction": USER["content"], "output": "third"},
        )
    }
    assert len(groups) == 1
    assert read({"messages": [USER, SAID, USER, SAID]}).digest() != read({"messages": [USER, SAID]}).digest()
    assert read({"messages": [system, SAID]}).prompt_group() not in groups


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (SAID | {"weight": 0.5}, "0.5"),
        (SAID | {"weight": "1"}, "'1'"),
        (SAID | {"weight": float("nan")}, "nan"),
        (USER | {"weight": 1}, "user"),
        (SAID | {"train": False}, "train"),
        (SAID | {"function_call": {"name": "f"}}, "function_call"),
    ],
)
def test_a_key_that_would_change_what_is_learned_does_not_vanish(message: dict[str, Any], word: str) -> None:
    error = refused({"messages": [USER, message, SAID]})
    assert error.code == "sample.weight"
    assert word in str(error.got)


def test_weights_say_which_answers_are_learned() -> None:
    other = {"role": "assistant", "content": "no"}
    record = {"messages": [USER | {"weight": 0}, other | {"weight": 0}, USER, SAID | {"weight": 1.0}]}
    assert read(record).answers == [3]
    learned = {"messages": [USER, other, USER, SAID]}
    assert read(record).digest() != read(learned).digest()
    error = refused({"messages": [USER, SAID | {"weight": 0}]})
    assert (error.code, error.got) == ("sample.no-answer", "user, assistant of weight 0")
