"""Task ``parse``: the share of samples that are valid Python."""

from __future__ import annotations

import ast
import math
import warnings

from codex_ml.evaluation.task import EvalContext, Measured
from codex_ml.generation.generate import Completion, complete


def evaluate_parse(context: EvalContext) -> dict[str, Measured]:
    """Draw whole files from an empty prompt and parse them.

    A sample that the token limit stopped is judged up to its last complete top-level statement: see
    `judged_text`. The interval is Wilson's (1927).
    """
    rule = context.cfg.parse
    end = context.tokenizer.eos_id
    room = min(rule.max_tokens, context.model.context - 1)
    samples = complete(
        context.model,
        [end],
        samples=rule.samples,
        max_tokens=room,
        temperature=rule.temperature,
        top_p=1.0,
        seed=context.seed,
        end=end,
    )
    good = sum(parses(judged_text(sample, context.tokenizer.decode(sample.tokens))) for sample in samples)
    low, high = wilson_interval(good, len(samples))
    return {"parse_rate": Measured(good / len(samples), len(samples), low, high)}


def judged_text(sample: Completion, text: str) -> str:
    """The part of a sample that can be held against it.

    All of it when the model ended it; otherwise everything before the last line that starts at
    column 0, for what follows was cut off in mid-statement. A sample with one such line or none is
    judged whole.
    """
    if sample.ended:
        return text
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line[:1].strip()]
    return "".join(lines[: starts[-1]]) if len(starts) > 1 else text


def parses(text: str) -> bool:
    """True when *text* is non-empty and valid Python for this interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a sample's invalid escapes are its own affair
        try:
            return bool(ast.parse(text).body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False


def wilson_interval(successes: int, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % score interval of a proportion."""
    share, square = successes / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
