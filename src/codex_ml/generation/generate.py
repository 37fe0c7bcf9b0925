"""Complete prompts token by token.

Shapes: B batch, T time, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from codex_ml.errors import DataError
from codex_ml.generation.sampling import next_tokens
from codex_ml.modeling.decoder import Decoder
from codex_ml.modeling.pretrained import Pretrained


@dataclass(frozen=True)
class Completion:
    """The new tokens of one prompt; ``ended`` when the model closed the text itself."""

    tokens: tuple[int, ...]
    ended: bool


@torch.no_grad()
def complete(
    model: Decoder | Pretrained,
    prompt: Sequence[int],
    *,
    samples: int,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    end: int,
) -> list[Completion]:
    """Draw *samples* completions of one prompt together.

    The end token is not part of a completion. Stops at *max_tokens* or where the context is full.
    Raises DataError for an empty prompt or one that leaves no room.
    """
    room = model.context - len(prompt)
    if not prompt or room < 1:
        raise DataError(
            "the prompt does not fit the model",
            code="generate.prompt",
            got=f"{len(prompt)} tokens",
            wanted=f"1 to {model.context - 1} tokens (model.context={model.context})",
            next_step="shorten the prompt",
        )
    device = next(model.parameters()).device
    feed = model.decoding(batch=samples)
    tokens_BT = torch.tensor([list(prompt)] * samples, dtype=torch.int64, device=device)
    rows: list[list[int]] = [[] for _ in range(samples)]
    ended = [False] * samples
    for position in range(min(max_tokens, room)):
        next_B = next_tokens(
            feed(tokens_BT), temperature=temperature, top_p=top_p, seed=seed, sample=0, position=position
        )
        for row, token in enumerate(next_B.tolist()):
            if not ended[row] and token == end:
                ended[row] = True
            elif not ended[row]:
                rows[row].append(token)
        if all(ended):
            break
        tokens_BT = next_B[:, None]
    return [Completion(tuple(row), done) for row, done in zip(rows, ended, strict=True)]
