"""Read the messages of a record: roles, texts, and what makes a conversation worth training on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codex_ml.core.digest import canonical_json
from codex_ml.data.sft.sample import ASSISTANT, Message, Sample
from codex_ml.errors import DataError, did_you_mean

ROLES = ("system", "user", "assistant", "tool")
#: ShareGPT's names for them.
SPEAKERS = {"human": "user", "gpt": "assistant", **{role: role for role in ROLES}}
#: Names under which other programs say which turns are learned, and a call in its older form: to leave them
#: out would be to train on something else than the file says.
_OTHER_NAMES = {
    **dict.fromkeys(("train", "training", "trainable", "loss", "loss_weight"), "weight"),
    "function_call": "tool_calls",
}
#: What a message may have besides; templates of models that call tools read it.
_MORE = ("name", "tool_calls", "tool_call_id", "reasoning_content")
_HINT = "mend the sample, or set data.on_error=skip to leave such samples out"


def read_messages(
    value: Any, *, place: str, field: str, role_key: str = "role", text_key: str = "content"
) -> tuple[Message, ...]:
    """The turns in the field *field*. Raises DataError."""
    if not isinstance(value, list) or not value:
        raise DataError(
            f"{place}: '{field}' holds no messages",
            code="sample.messages",
            got="an empty list" if isinstance(value, list) else kind_of(value),
            wanted=f"a list of objects with '{role_key}' and '{text_key}'",
            next_step=_HINT,
        )
    return tuple(
        _message(turn, place=f"{place}, {field}[{number}]", role_key=role_key, text_key=text_key)
        for number, turn in enumerate(value)
    )


def _message(turn: Any, *, place: str, role_key: str, text_key: str) -> Message:
    if not isinstance(turn, dict) or role_key not in turn:
        raise DataError(
            f"{place} is no message",
            code="sample.messages",
            got=", ".join(map(str, turn)) if isinstance(turn, dict) else kind_of(turn),
            wanted=f"an object with '{role_key}' and '{text_key}'",
            next_step=_HINT,
        )
    role = _role(turn[role_key], place=place, known=SPEAKERS if role_key == "from" else dict.fromkeys(ROLES))
    more = {name: turn[name] for name in _MORE if turn.get(name)}
    calls = role == ASSISTANT and "tool_calls" in more
    content = "" if calls and turn.get(text_key) is None else read_text(turn.get(text_key), place=place)
    trained = _trained(turn, role=role, place=place)
    if role == ASSISTANT and not calls and not content.strip():
        raise DataError(
            f"{place}: the assistant says nothing",
            code="sample.empty",
            got=repr(content),
            wanted="an answer to train on",
            next_step=_HINT,
        )
    return Message(role, content, _plain(more, place=place), trained)


def _trained(turn: dict[Any, Any], *, role: str, place: str) -> bool:
    """Whether a turn is learned if it is an answer: its ``weight`` (as OpenAI's files have it) is not 0."""
    for name, ours in _OTHER_NAMES.items():
        if turn.get(name) is not None:
            raise DataError(
                f"{place} has a key that is not read and changes what it means",
                code="sample.weight",
                got=name,
                wanted=f"'{ours}'",
                next_step=f"write it as '{ours}'" + (": 0 or 1" if ours == "weight" else ""),
            )
    weight = turn.get("weight")
    if weight is None:
        return True
    if not isinstance(weight, int | float) or weight not in (0, 1) or (weight and role != ASSISTANT):
        raise DataError(
            f"{place} has a weight that cannot be kept",
            code="sample.weight",
            got=f"{weight!r} of {role}",
            wanted="1 or 0 on an assistant turn: it is learned, or only read",
            next_step=_HINT,
        )
    return bool(weight)


def _role(value: Any, *, place: str, known: dict[str, Any]) -> str:
    if isinstance(value, str) and value in known:
        return SPEAKERS[value]
    raise DataError(
        f"{place}: unknown role",
        code="sample.role",
        got=repr(value),
        wanted=", ".join(known),
        next_step=did_you_mean(value, known) if isinstance(value, str) else _HINT,
    )


def read_text(value: Any, *, place: str) -> str:
    """A text that can be written as UTF-8. Raises DataError."""
    if not isinstance(value, str):
        raise DataError(
            f"{place}: the content is no text",
            code="sample.content",
            got=kind_of(value),
            wanted="a string",
            next_step=_HINT,
        )
    _check_utf8(value, place=place)
    return value


def _plain(more: dict[str, Any], *, place: str) -> dict[str, Any]:
    """*more* as it is, once it is sure that a digest and a template can take it."""
    try:
        _check_utf8(canonical_json(more), place=place)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{place}: what belongs to its tools is no JSON",
            code="sample.content",
            got=error,
            next_step=_HINT,
        ) from error
    return more


def _check_utf8(text: str, *, place: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place} holds a lone surrogate, which UTF-8 cannot", code="data.encoding", got=error.reason
        ) from error


def conversation(
    messages: Sequence[Message], *, place: str, first_answer: int = 0, tools: Any = None
) -> Sample:
    """A sample of these turns. Raises DataError when no turn of them would be trained."""
    listed = None
    if tools:
        if not isinstance(tools, list):
            raise DataError(
                f"{place}: 'tools' is no list",
                code="sample.content",
                got=kind_of(tools),
                wanted="a list of JSON objects",
                next_step=_HINT,
            )
        _plain({"tools": tools}, place=place)
        listed = tuple(tools)
    sample = Sample(tuple(messages), first_answer=first_answer, tools=listed)
    if not sample.answers:
        raise DataError(
            f"{place} has no assistant turn to learn, so nothing of it would be trained",
            code="sample.no-answer",
            got=", ".join(
                message.role + ("" if message.trained or message.role != ASSISTANT else " of weight 0")
                for message in messages[first_answer:]
            ),
            wanted="at least one assistant turn" + (" in the completion" if first_answer else ""),
            next_step=_HINT,
        )
    return sample


def kind_of(value: Any) -> str:
    """What a JSON value is, for people."""
    if value is None:
        return "null"
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a string", bool: "a truth value"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
