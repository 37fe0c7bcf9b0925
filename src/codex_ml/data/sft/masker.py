"""Samples to token ids with a mask, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from codex_ml.data.sft.encoder import SpecialEncoder
from codex_ml.data.sft.mask import Turn, answer_spans, by_prefixes, by_spans, check_mask, check_opening
from codex_ml.data.sft.renderer import Job, Rendered, Renderer
from codex_ml.data.sft.sample import Sample
from codex_ml.data.sft.shown import check_answer, check_turns, ends
from codex_ml.data.sft.template import ChatTemplate, no_template
from codex_ml.errors import DataError

Placed = tuple[str, Sample]


@dataclass(frozen=True)
class Masked:
    """The tokens of a sample, and which of them are trained; *bytes* of the text they stand for.

    *ended*: the last answer has a special token, at which a model that has learned it stops.
    """

    ids: NDArray[np.int64]
    trained: NDArray[np.bool_]
    bytes: int
    ended: bool


#: Takes a conversation, what was rendered of it, and its place, in the order in which they were encoded.
Mask = Callable[[Sample, list[Rendered], str], "Masked | DataError"]


class Masker:
    """A tokenizer and a template. The template's process starts with the first conversation."""

    def __init__(self, encoder: SpecialEncoder, template: ChatTemplate | None, *, end_id: int) -> None:
        self._encoder = encoder
        self._template = template
        self._end_id = end_id
        self._special = np.array(sorted({end_id, *encoder.special.values()}), dtype=np.int64)
        self._opens: bool | None = None  # whether the template writes something where an answer begins
        self._leading = np.array(encoder.leading(), dtype=np.int64)
        self._renderer: Renderer | None = None

    def mask(self, samples: Sequence[Placed]) -> list[Masked | DataError]:
        """Each sample's tokens, or why it cannot be trained on.

        Raises DataError for what is wrong with the template, ConfigError when one is needed and absent.
        """
        found: dict[int, Masked | DataError] = {}
        plain: list[int] = []
        talks: list[int] = []
        for index, (place, sample) in enumerate(samples):
            error = self._injected(sample, place=place)
            if error is not None:
                found[index] = error
            else:
                (talks if sample.plain is None else plain).append(index)
        for indices, method in ((plain, self._mask_plain), (talks, self._mask_talks)):
            results = method([samples[index] for index in indices]) if indices else []
            found.update(zip(indices, results, strict=True))
        return [found[index] for index in range(len(samples))]

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def __enter__(self) -> Masker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renderer is not None:
            self._renderer.__exit__(kind, error, trace)

    def _injected(self, sample: Sample, *, place: str) -> DataError | None:
        """A special token that the file spells would end a turn or begin another role's."""
        for text in sample.texts():
            token = self._encoder.special_in(text)
            if token is not None:
                return DataError(
                    f"{place} spells a special token of the tokenizer",
                    code="sample.special",
                    got=token,
                    wanted="plain text; the template writes such tokens itself",
                    next_step="take it out of the text, or set data.on_error=skip to leave such samples out",
                )
        return None

    def _mask_plain(self, samples: Sequence[Placed]) -> list[Masked | DataError]:
        """Prompt and completion as one text, between what the tokenizer begins with and the end token.

        A token that bridges the two is one of the completion.
        """
        pairs = [sample.plain for _, sample in samples if sample.plain is not None]
        found: list[Masked | DataError] = []
        encoded = self._encoder.encode([prompt + completion for prompt, completion in pairs])
        for (place, _), (prompt, completion), text in zip(samples, pairs, encoded, strict=True):
            spans = [(len(prompt), len(prompt) + len(completion))]
            ids = np.concatenate([self._leading, text.ids, [self._end_id]])
            trained = np.concatenate(
                [np.zeros(len(self._leading), dtype=bool), by_spans(text, spans), np.ones(1, dtype=bool)]
            )
            try:
                found.append(self._checked(ids, trained, text=prompt + completion, place=place))
            except DataError as error:
                found.append(error)
        return found

    def _mask_talks(self, samples: Sequence[Placed]) -> list[Masked | DataError]:
        renderer = self._started()
        groups = [_jobs(place, sample, whole=renderer.marks_answers) for place, sample in samples]
        answers = iter(renderer.render([job for jobs in groups for job in jobs]))
        rendered = [_together([next(answers) for _ in jobs]) for jobs in groups]
        texts = [one.text for group in rendered if isinstance(group, list) for one in group]
        method = self._by_spans if renderer.marks_answers else self._by_prefixes
        masks = method(texts)
        if self._opens is None and not renderer.marks_answers:
            self._opens = _opens(renderer, samples)
        return [
            group if isinstance(group, DataError) else masks(sample, group, place)
            for (place, sample), group in zip(samples, rendered, strict=True)
        ]

    def _by_spans(self, texts: list[str]) -> Mask:
        encoded = iter(self._encoder.encode(texts))

        def mask(sample: Sample, rendered: list[Rendered], place: str) -> Masked | DataError:
            whole = next(encoded)
            text = rendered[0].text
            try:
                spans = answer_spans(rendered[0].spans, sample, place=place)
                found = self._checked(whole.ids, by_spans(whole, spans), text=text, place=place)
                check_turns(sample, text, place=place)
                said = "\n".join(text[start:stop] for start, stop in spans)
                for number in sample.answers:
                    check_answer(number, sample.messages[number], said, place=place)
            except DataError as error:
                return error
            return found

        return mask

    def _by_prefixes(self, texts: list[str]) -> Mask:
        encoded = iter(self._encoder.ids(texts))

        def mask(sample: Sample, rendered: list[Rendered], place: str) -> Masked | DataError:
            whole, *parts = [next(encoded) for _ in rendered]
            full, texts = rendered[0].text, [one.text for one in rendered[1:]]
            added = [
                (number, texts[2 * index + 1][len(texts[2 * index]) :])
                for index, number in enumerate(sample.answers)
            ]
            turns = [
                Turn(
                    number,
                    before=parts[2 * index],
                    after=parts[2 * index + 1],
                    same_text=all(full.startswith(text) for text in texts[2 * index : 2 * index + 2]),
                )
                for index, number in enumerate(sample.answers)
            ]
            try:
                found = self._checked(whole, by_prefixes(whole, turns, place=place), text=full, place=place)
                check_turns(sample, full, place=place)
                for number, text in added:
                    check_answer(number, sample.messages[number], text, place=place)
            except DataError as error:
                return error
            if self._opens is False:  # of the template, not of the sample: no sample is left out for it
                check_opening(sample, added)
            return found

        return mask

    def _checked(
        self, ids: NDArray[np.int64], trained: NDArray[np.bool_], *, text: str, place: str
    ) -> Masked:
        check_mask(trained, place=place)
        ended = ends(ids, trained, self._special)
        return Masked(ids, trained, len(text.encode("utf-8")), ended)

    def _started(self) -> Renderer:
        if self._renderer is None:
            if self._template is None:
                raise no_template(str(self._encoder.directory))
            self._renderer = Renderer(self._template)
        return self._renderer


def _jobs(place: str, sample: Sample, *, whole: bool) -> list[Job]:
    """The whole conversation; without generation blocks also what stands before and with each answer."""
    messages = [message.record() for message in sample.messages]
    tools = None if sample.tools is None else list(sample.tools)
    jobs = [Job(place, messages, tools)]
    for turn in [] if whole else sample.answers:
        jobs.append(Job(place, messages[:turn], tools, prompt=True))
        jobs.append(Job(place, messages[: turn + 1], tools))
    return jobs


def _together(parts: list[Rendered | DataError]) -> list[Rendered] | DataError:
    whole = []
    for part in parts:
        if isinstance(part, DataError):
            return part
        whole.append(part)
    return whole


def _opens(renderer: Renderer, samples: Sequence[Placed]) -> bool | None:
    """Whether ``add_generation_prompt`` changes what a template writes; None where no sample can tell."""
    for place, sample in samples:
        if before := [message.record() for message in sample.messages[: sample.answers[0]]]:
            tools = None if sample.tools is None else list(sample.tools)
            jobs = [Job(place, before, tools, prompt=prompt) for prompt in (True, False)]
            one, two = renderer.render(jobs)
            if isinstance(one, Rendered) and isinstance(two, Rendered):
                return one.text != two.text
    return None
