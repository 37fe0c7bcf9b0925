"""NaN and spike guard: an update that would poison the weights is refused, never made silently."""

from __future__ import annotations

import math
import statistics

from torch import nn

from codex_ml.config.schema import GuardConfig
from codex_ml.errors import TrainingError
from codex_ml.training.state import Progress


def objection(loss: float, grad_norm: float, *, progress: Progress, cfg: GuardConfig) -> str | None:
    """Why this update must not be made, or None.

    A spike is a loss above ``spike_factor`` times the median of the last ``window`` losses.
    """
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if not math.isfinite(grad_norm):
        return f"the gradient norm is {grad_norm}"
    if len(progress.recent_losses) >= cfg.window:
        median = statistics.median(progress.recent_losses)
        if loss > cfg.spike_factor * median:
            return f"the loss {loss:.4g} is above {cfg.spike_factor:g} x the running median {median:.4g}"
    return None


def check_reach(model: nn.Module) -> None:
    """Raise TrainingError for trained parameters that a backward pass did not reach."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    missed = [name for name, parameter in named if parameter.grad is None]
    if missed:
        raise TrainingError(
            "the loss does not reach parameters that are to be trained",
            code="train.no-gradient",
            got=f"{len(missed)} of {len(named)} without a gradient: {', '.join(missed[:4])}",
            next_step="leave their modules out of model.lora.targets",
        )


def remember(loss: float, *, progress: Progress, cfg: GuardConfig) -> None:
    """Add an accepted loss to the running window."""
    progress.recent_losses = [*progress.recent_losses, loss][-cfg.window :]


def refuse_or_skip(reason: str, *, progress: Progress, cfg: GuardConfig) -> None:
    """Count a skipped update, or stop the run. Raises TrainingError."""
    step = progress.step + 1
    if cfg.action == "stop":
        raise TrainingError(
            f"training stopped at step {step}",
            code="train.diverged",
            got=reason,
            wanted="a finite, steady loss",
            next_step="under another name=… lower train.lr or set train.guard.action=skip",
        )
    progress.skipped += 1
    if progress.skipped > cfg.max_skips:
        raise TrainingError(
            f"training stopped at step {step}: too many skipped updates",
            code="train.skips",
            got=f"{progress.skipped}; the last because {reason}",
            wanted=f"at most train.guard.max_skips={cfg.max_skips}",
            next_step="lower train.lr under another name=…",
        )
