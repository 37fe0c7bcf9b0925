"""Which tokens of a text are trained: those of the answers, and of them the whole answer with its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codex_ml.data.sft.encoder import Encoded, Ids
from codex_ml.data.sft.sample import ASSISTANT, Sample
from codex_ml.data.sft.shown import collapse, where
from codex_ml.errors import DataError

Spans = Sequence[tuple[int, int]]
_MARK = "mark the answers in the template with {% generation %} … {% endgeneration %}: data.template=FILE"


def by_spans(text: Encoded, spans: Spans) -> NDArray[np.bool_]:
    """The tokens of which a character lies in one of *spans*."""
    trained = np.zeros(len(text.ids), dtype=bool)
    for start, stop in spans:
        trained |= (text.stops > start) & (text.starts < stop)
    return trained


def answer_spans(spans: Spans, sample: Sample, *, place: str) -> Spans:
    """Of the spans of all answers those that are trained. Raises DataError where they cannot be matched."""
    turns = [number for number, message in enumerate(sample.messages) if message.role == ASSISTANT]
    if turns == sample.answers:
        return spans
    if len(spans) == len(turns):
        return [span for number, span in zip(turns, spans, strict=True) if number in sample.answers]
    raise DataError(
        f"{place}: the answers that are trained cannot be told from those that are only read",
        code="template.turns",
        got=f"{len(spans)} generation blocks",
        wanted=f"one for each of the {len(turns)} assistant turns",
        next_step="give a template with one generation block a turn: data.template=FILE",
    )


@dataclass(frozen=True)
class Turn:
    """An answer without generation blocks: its number, the tokens before it and those with it.

    *same_text*: as text both are beginnings of the whole conversation.
    """

    number: int
    before: Ids
    after: Ids
    same_text: bool


def by_prefixes(whole: Ids, turns: Sequence[Turn], *, place: str) -> NDArray[np.bool_]:
    """The tokens between what stands before each answer and what stands when it is given.

    Raises DataError unless all these are beginnings of *whole*.
    """
    trained = np.zeros(len(whole), dtype=bool)
    for turn in turns:
        start, stop = len(turn.before), len(turn.after)
        kept = (
            start <= stop <= len(whole)
            and np.array_equal(turn.before, whole[:start])
            and np.array_equal(turn.after, whole[:stop])
        )
        if not kept:
            raise (_bridged if turn.same_text else _changed)(turn.number, place)
        trained[start:stop] = True
    return trained


def _changed(number: int, place: str) -> DataError:
    return DataError(
        f"{place}: the chat template changes what came before when a turn is added",
        code="template.prefix",
        got=f"another text before or in the answer of turn {number}",
        wanted="a conversation that begins as its own first turns do",
        next_step=_MARK,
    )


def _bridged(number: int, place: str) -> DataError:
    return DataError(
        f"{place}: a token bridges an answer and what stands beside it",
        code="sample.boundary",
        got=f"turn {number}, which may begin or end with blanks",
        wanted="an answer of whole tokens",
        next_step=f"take the blanks off the answer; or {_MARK}",
    )


def check_opening(sample: Sample, parts: Sequence[tuple[int, str]]) -> None:
    """Of a template that opens no answer: raise DataError where something stands before an answer's words.

    *parts* are the turns that are trained with what each adds to the text. Such a header would be learned,
    and a question that is asked would end without it.
    """
    for number, added in parts:
        message, text = sample.messages[number], collapse(added)
        at = where(message, text) or 0
        if message.content.strip() and at:
            raise DataError(
                "the chat template opens no answer: with add_generation_prompt it writes the same text",
                code="template.prompt",
                got=f"{text[:at].strip()!r} before the words of an answer, which would be learned",
                wanted="what opens an answer, inside {% if add_generation_prompt %} … {% endif %} at its end",
                next_step=f"add it; or {_MARK}",
            )


def check_mask(trained: NDArray[np.bool_], *, place: str) -> None:
    """Raise DataError when nothing would be learned, or nothing is there to learn it from."""
    # The first token is no label, whatever it is.
    if not trained[1:].any():
        raise DataError(
            f"{place}: no token of it is trained",
            code="sample.untrained",
            got=f"{len(trained)} tokens, all of them masked",
            wanted="an answer that the template writes, inside its generation block if it has them",
            next_step="look at the template and the sample, or set data.on_error=skip",
        )
    if trained.all():
        raise DataError(
            f"{place}: every token of it is trained",
            code="sample.unmasked",
            got=f"{len(trained)} tokens, none of them masked",
            wanted="a prompt before the answer",
            next_step="give the sample a prompt, or use data.format=text; data.on_error=skip leaves it out",
        )
