"""Evaluate any target outside a pipeline: find its data, settle the process, run the tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from codex_ml.config.check import check_config
from codex_ml.core.paths import Home
from codex_ml.data.select import prepare_for
from codex_ml.evaluation.runner import Evaluation, evaluate
from codex_ml.evaluation.target import Target, find_target
from codex_ml.interfaces.reporter import Reporter
from codex_ml.provenance.determinism import apply_determinism, set_seed
from codex_ml.provenance.environment import usable_cores
from codex_ml.tracking.context import TrackerContext, clean_facts
from codex_ml.tracking.opening import open_files

_NO_LIMIT = 1 << 62


def evaluate_target(
    text: str,
    *,
    home: Home,
    split: str,
    tasks: Sequence[str],
    data_path: Path | None,
    out: Path | None,
    reporter: Reporter,
) -> tuple[Evaluation, Target]:
    """Measure a run, checkpoint or export.

    *data_path* replaces ``data.path``. Raises UsageError when there is no such target, DataError for
    data that cannot be read.
    """
    target = find_target(text, home=home)
    config = target.config
    settle(target, home=home)
    data = config.data if data_path is None else dataclasses.replace(config.data, path=str(data_path))
    check_config(dataclasses.replace(config, data=data))
    tokenizer = dataclasses.replace(config.tokenizer, path=str(target.tokenizer))
    asked = dataclasses.replace(config, data=data, tokenizer=tokenizer)
    dataset = prepare_for(asked, home=home, progress=reporter.progress)
    result = evaluate(
        target,
        dataset=dataset,
        split=split,
        tasks=tasks or config.eval.tasks,
        cfg=config.eval,
        device=torch.device("cuda:0" if torch.cuda.is_available() else "cpu"),
        keep_in=None,
        reporter=reporter,
    )
    if out is not None:
        context = TrackerContext(out, target.run_name, resume_step=_NO_LIMIT, facts=clean_facts(target.facts))
        tracker = open_files(context)
        tracker.write(result.records(run_id=target.run_name, step=target.step))
        tracker.close()
    return result, target


def settle(target: Target, *, home: Home) -> None:
    """Threads, seeds and deterministic kernels as the target was trained with."""
    threads = target.config.runtime.threads
    apply_determinism(
        mode=target.config.runtime.determinism,
        threads=usable_cores() if threads == "auto" else threads,
        compile_cache=home.compile_cache,
    )
    set_seed(target.config.seed)
