"""The shapes that samples come in, told apart by their keys, and how each becomes a `Sample`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codex_ml.data.sft.messages import conversation, read_messages, read_text
from codex_ml.data.sft.sample import ASSISTANT, Message, Sample
from codex_ml.errors import DataError

Cells = Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """The keys that make it, what they hold, and how a record of it is read."""

    keys: tuple[str, ...]
    wanted: str
    read: Callable[[Cells, str], Sample]

    def fits(self, cells: Cells) -> bool:
        # A parquet file has every column in every row; null says that this row has none.
        return all(cells.get(key) is not None for key in self.keys)


def detect(cells: Cells, *, place: str) -> str:
    """The name of the shape of a record. Raises DataError when it has none."""
    for name, shape in SHAPES.items():
        if shape.fits(cells):
            return name
    raise DataError(
        f"{place} has no shape that is known",
        code="sample.shape",
        got=_keys(cells),
        wanted=" or ".join(f"{name} ({shape.wanted})" for name, shape in SHAPES.items()),
        next_step="rename its keys, or use data.format=text with data.text_field for plain documents",
    )


def read_sample(cells: Cells, *, shape: str, place: str) -> Sample:
    """The record at *place* as a sample. Raises DataError when it has another shape or is no sample."""
    wanted = SHAPES[shape]
    if not wanted.fits(cells):
        other = next((name for name, one in SHAPES.items() if one.fits(cells)), None)
        raise DataError(
            f"{place} has another shape than data.format={shape}" + (f": it is {other}" if other else ""),
            code="sample.shape",
            got=_keys(cells),
            wanted=wanted.wanted,
            next_step="give samples of one shape in one dataset, or data.on_error=skip to leave these out",
        )
    return wanted.read(cells, place)


def _keys(cells: Cells) -> str:
    present = [key for key, value in cells.items() if value is not None]
    shown = ", ".join(present[:12]) + (", …" if len(present) > 12 else "")
    return f"the keys {shown}" if present else "no keys"


def _chat(cells: Cells, place: str) -> Sample:
    messages = read_messages(cells["messages"], place=place, field="messages")
    return conversation(messages, place=place, tools=cells.get("tools"))


def _sharegpt(cells: Cells, place: str) -> Sample:
    messages = read_messages(
        cells["conversations"], place=place, field="conversations", role_key="from", text_key="value"
    )
    return conversation(messages, place=place)


def _prompt_completion(cells: Cells, place: str) -> Sample:
    prompt, completion = cells["prompt"], cells["completion"]
    if isinstance(prompt, str) and isinstance(completion, str):
        _answer(completion, place=f"{place}, completion")
        return Sample(plain=(read_text(prompt, place=f"{place}, prompt"), completion))
    asked = _turns(prompt, place=place, field="prompt", role="user")
    said = _turns(completion, place=place, field="completion", role=ASSISTANT)
    return conversation((*asked, *said), place=place, first_answer=len(asked), tools=cells.get("tools"))


def _turns(value: Any, *, place: str, field: str, role: str) -> tuple[Message, ...]:
    """Beside a list of messages a string is one message."""
    if isinstance(value, str):
        return read_messages([{"role": role, "content": value}], place=place, field=field)
    return read_messages(value, place=place, field=field)


def _alpaca(cells: Cells, place: str) -> Sample:
    asked = read_text(cells["instruction"], place=f"{place}, instruction")
    given = cells.get("input")
    if given is not None and read_text(given, place=f"{place}, input").strip():
        asked += "\n\n" + given
    said = _answer(cells["output"], place=f"{place}, output")
    return conversation((Message("user", asked), Message(ASSISTANT, said)), place=place)


def _answer(value: Any, *, place: str) -> str:
    text = read_text(value, place=place)
    if text.strip():
        return text
    raise DataError(
        f"{place} is empty",
        code="sample.empty",
        got=repr(text),
        wanted="an answer to train on",
        next_step="mend the sample, or set data.on_error=skip to leave such samples out",
    )


#: In the order in which they are tried.
SHAPES: dict[str, Shape] = {
    "chat": Shape(("messages",), "messages: a list of {role, content}", _chat),
    "sharegpt": Shape(("conversations",), "conversations: a list of {from, value}", _sharegpt),
    "prompt_completion": Shape(
        ("prompt", "completion"),
        "prompt and completion, each a text or a list of messages",
        _prompt_completion,
    ),
    "alpaca": Shape(("instruction", "output"), "instruction, output and maybe input, each a text", _alpaca),
}
