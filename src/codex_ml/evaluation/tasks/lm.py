"""Task ``lm``: loss, perplexity, bits per byte and token accuracy on every held-out token."""

from __future__ import annotations

import math

from codex_ml.data.sft.rows import SampleSplit
from codex_ml.evaluation.score import score_split, scorer_of
from codex_ml.evaluation.task import EvalContext, Measured
from codex_ml.metrics import bits_per_byte, mean_interval, perplexity


def evaluate_lm(context: EvalContext) -> dict[str, Measured]:
    """Score the whole split; the unit of the intervals is a row of tokens.

    Bits per byte charge every predicted token, document ends included, to the bytes of the text
    alone, so they are slightly pessimistic. Each token sees at most the tokens before it in its row.
    """
    score = score_split(
        scorer_of(context.model),
        context.split,
        batch_size=context.cfg.batch_size,
        max_rows=0,
        device=context.device,
        progress=context.reporter.progress,
    )
    tokens = sum(score.tokens)
    loss, low, high = mean_interval(score.nll, score.tokens)
    accuracy, hit_low, hit_high = mean_interval(score.hits, score.tokens)
    found = {
        "loss": Measured(loss, tokens, low, high),
        "perplexity": Measured(perplexity(loss), tokens, perplexity(low), perplexity(high)),
        "token_accuracy": Measured(accuracy, tokens, hit_low, hit_high),
    }
    if not isinstance(context.split, SampleSplit):  # answers are tokens of a tokenizer that is given
        per_byte = bits_per_byte(math.fsum(score.nll), context.split.bytes)
        scale = per_byte / loss
        found["bits_per_byte"] = Measured(per_byte, context.split.bytes, low * scale, high * scale)
    return found
