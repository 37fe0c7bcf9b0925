"""What every evaluation task is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from codex_ml.config.schema import EvalConfig
from codex_ml.evaluation.score import Split
from codex_ml.interfaces.reporter import Reporter
from codex_ml.modeling.decoder import Decoder
from codex_ml.modeling.pretrained import Pretrained
from codex_ml.tokenization.hf_tokenizer import HFTokenizerAdapter


@dataclass(frozen=True)
class EvalContext:
    """A model, a held-out split and its documents."""

    model: Decoder | Pretrained
    tokenizer: HFTokenizerAdapter
    split: Split
    texts: Callable[[], Iterator[bytes]]
    cfg: EvalConfig
    seed: int
    device: torch.device
    reporter: Reporter


@dataclass(frozen=True)
class Measured:
    """One metric with what it was measured on: *n* units, and the 95 % interval where there is one."""

    value: float
    n: int
    ci_low: float | None = None
    ci_high: float | None = None


#: A task: registered under ``eval_tasks``, returns metric name -> measured value.
EvalTask = Callable[[EvalContext], dict[str, Measured]]
