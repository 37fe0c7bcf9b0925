"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from codex_ml.config.schema import ScheduleConfig


def may_grow(before: int, after: int, done: int, *, cfg: ScheduleConfig) -> bool:
    """Whether a run of *before* steps may go on to *after*: its *done* steps are the same in both."""
    if cfg.name == "constant":
        return True
    return all(
        lr_scale(step, steps=before, cfg=cfg) == lr_scale(step, steps=after, cfg=cfg)
        for step in range(cfg.warmup_steps, done)
    )


def lr_scale(step: int, *, steps: int, cfg: ScheduleConfig) -> float:
    """The share of the peak learning rate for the update number *step* (0-based) of *steps*.

    cosine: Loshchilov & Hutter, "SGDR", 2017. wsd (warm-up, stable, linear decay): Hu et al.,
    "MiniCPM", 2024.
    """
    if step < cfg.warmup_steps:
        return (step + 1) / cfg.warmup_steps
    if cfg.name == "constant":
        return 1.0
    if cfg.name == "cosine":
        done = (step - cfg.warmup_steps) / max(1, steps - cfg.warmup_steps)
        return cfg.min_ratio + (1 - cfg.min_ratio) * 0.5 * (1 + math.cos(math.pi * done))
    decay_steps = max(1, round(steps * cfg.decay_share))
    left = min(1.0, (steps - step) / decay_steps)
    return cfg.min_ratio + (1 - cfg.min_ratio) * left
