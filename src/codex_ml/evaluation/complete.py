"""Complete one prompt with any target."""

from __future__ import annotations

from typing import Any

import torch

from codex_ml.core.paths import Home
from codex_ml.data.sft.ask import question_ids
from codex_ml.evaluation.session import settle
from codex_ml.evaluation.target import find_target
from codex_ml.generation.generate import complete


def complete_text(
    text: str,
    *,
    prompt: str,
    chat: bool = False,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    home: Home,
) -> dict[str, Any]:
    """The completion with what it came from; equal arguments give equal text.

    With *chat* the prompt is a question, put through the chat template.

    Raises UsageError for an unknown target, DataError for a prompt that does not fit.
    """
    target = find_target(text, home=home)
    settle(target, home=home)
    tokenizer = target.load_tokenizer()
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    template = None if target.kind == "export" else target.config.data.template
    ids = target.prompt_ids(prompt)
    if chat:
        ids = question_ids(prompt, tokenizer=target.tokenizer, template=template)
    done = complete(
        target.load_model(device=device),
        ids,
        samples=1,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        end=tokenizer.eos_id,
    )[0]
    return {
        "text": tokenizer.decode(done.tokens),
        "tokens": len(done.tokens),
        "ended": done.ended,
        "stopped": "end" if done.ended else "max-tokens" if len(done.tokens) >= max_tokens else "context",
        "weights_sha256": target.weights_sha256,
    }
