"""Whether a template writes what the turns of a conversation say, and whether answers end.

Templates may trim and re-indent, so texts are compared with white space collapsed; and as JSON strings,
which is how some write what tools say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codex_ml.data.sft.sample import ASSISTANT, Message, Sample, strings_in
from codex_ml.errors import DataError

_THOUGHT = "</think>"
_SHOWN = 60
_OWN = "give a template that writes it: data.template=FILE; data.on_error=skip leaves such samples out"


def collapse(text: str) -> str:
    """*text* with each run of white space as one blank, and none at its ends."""
    return " ".join(text.split())


def check_turns(sample: Sample, text: str, *, place: str) -> None:
    """Raise DataError unless *text*, the rendered conversation, holds what every turn says."""
    whole = collapse(text)
    for number, message in enumerate(sample.messages):
        if where(message, whole) is None:
            raise _dropped(number, message, collapse(message.content), place=place, of="the conversation")


def check_answer(number: int, message: Message, trained: str, *, place: str) -> None:
    """Raise DataError unless *trained*, what is trained of a turn, holds its words and its calls."""
    text, of = collapse(trained), "what is trained"
    if where(message, text) is None:
        raise _dropped(number, message, collapse(message.content), place=place, of=of)
    for part in _said_by_calls(message.more.get("tool_calls")):
        if not any(form in text for form in _forms(part)):
            raise _dropped(number, message, f"a call of a tool with {collapse(part)}", place=place, of=of)


def where(message: Message, text: str) -> int | None:
    """Where the words of a turn begin in the collapsed *text*; None where it lacks them.

    A template may leave out what an assistant thought, and write what was said after it.
    """
    said = [message.content]
    if message.role == ASSISTANT and message.content.rpartition(_THOUGHT)[2].strip():
        said.append(message.content.rpartition(_THOUGHT)[2])
    for form in (form for part in said for form in _forms(part)):
        if (found := text.find(form)) >= 0:
            return found
    return None


def ends(ids: NDArray[np.int64], trained: NDArray[np.bool_], special: NDArray[np.int64]) -> bool:
    """Whether the last answer, the tokens trained last without a gap, holds a token that can end it."""
    last = int(np.flatnonzero(trained)[-1]) + 1
    masked = np.flatnonzero(~trained[:last])
    first = int(masked[-1]) + 1 if len(masked) else 0
    return bool(np.isin(ids[first:last], special).any())


def _forms(text: str) -> Iterator[str]:
    yield collapse(text)
    for ascii_only in (False, True):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield collapse(once)
        yield collapse(json.dumps(once, ensure_ascii=ascii_only)[1:-1])


def _said_by_calls(calls: Any) -> Iterator[str]:
    """Of calls the names of functions, and of their arguments the keys and the texts."""
    for call in calls if isinstance(calls, list | tuple) else []:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue
        if isinstance(name := function.get("name"), str):
            yield name
        yield from strings_in(_parsed(function.get("arguments")))


def _parsed(arguments: Any) -> Any:
    """Arguments may come as JSON text, which templates write as it is or take apart."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _dropped(number: int, message: Message, said: str, *, place: str, of: str) -> DataError:
    shown = said if len(said) <= _SHOWN else said[:_SHOWN] + "…"
    return DataError(
        f"{place}: the chat template does not write what the {message.role} says in turn {number}",
        code="sample.unwritten",
        got=f"{of} lacks {shown!r}",
        wanted="every turn as the sample has it",
        next_step=_OWN,
    )
