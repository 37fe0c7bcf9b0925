"""Stage ``evaluate``: the tasks of the config on the held-out split, logged and kept."""

from __future__ import annotations

import torch

from codex_ml.evaluation.runner import evaluate as run_tasks
from codex_ml.pipeline.context import Work
from codex_ml.tracking.opening import context_of, opened


def evaluate(work: Work) -> None:
    """Measure the trained weights; an answer on disk to the same question is taken as it is."""
    assert work.dataset is not None and work.target is not None and work.resolved is not None
    work.evaluation = run_tasks(
        work.target,
        dataset=work.dataset,
        split="validation",
        tasks=work.config.eval.tasks,
        cfg=work.config.eval,
        device=torch.device(work.resolved.device),
        keep_in=work.directory.evaluations,
        reporter=work.reporter,
    )
    if not work.evaluation.fresh:
        return
    work.directory.unseal(work.record)
    run_id, step = str(work.record["run_id"]), work.target.step
    context = context_of(
        work.config,
        directory=work.directory.path,
        run_id=run_id,
        resume_step=step,
        again="validation/eval",
        network_allowed=work.request.network_allowed,
    )
    with opened(context) as tracker:
        tracker.write(work.evaluation.records(run_id=run_id, step=step))
