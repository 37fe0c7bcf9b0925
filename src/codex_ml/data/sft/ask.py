"""One question as a chat model reads it: the template around it, up to where the answer begins."""

from __future__ import annotations

from pathlib import Path

from codex_ml.data.sft.encoder import SpecialEncoder
from codex_ml.data.sft.renderer import Job, Renderer
from codex_ml.data.sft.template import find_template, no_template
from codex_ml.errors import DataError


def question_ids(text: str, *, tokenizer: Path, template: str | None) -> list[int]:
    """Token ids of a conversation in which the user says *text*, with the answer's opening at its end.

    *template* is a file; None takes the tokenizer's own. Raises ConfigError without a template, DataError
    for a special token inside *text* (it would end the question) and for a template that fails.
    """
    encoder = SpecialEncoder(tokenizer)
    if (special := encoder.special_in(text)) is not None:
        raise DataError(
            "the prompt holds a special token of the tokenizer",
            code="sample.special",
            got=special,
            next_step="leave it out, or complete the text as it is without --chat",
        )
    found = find_template(template, tokenizer=tokenizer)
    if found is None:
        raise no_template(str(tokenizer))
    with Renderer(found) as renderer:
        (rendered,) = renderer.render([Job("the prompt", [{"role": "user", "content": text}], prompt=True)])
    if isinstance(rendered, DataError):
        raise rendered
    return [int(token) for token in encoder.ids([rendered.text])[0]]
