"""Run the stages in order; each finds what it needs in what the ones before it made."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from codex_ml.core.workers import is_main
from codex_ml.interfaces.reporter import Reporter, Silent
from codex_ml.pipeline.attest_stage import attest, lineage
from codex_ml.pipeline.base import located
from codex_ml.pipeline.context import Request, Work
from codex_ml.pipeline.evaluate_stage import evaluate
from codex_ml.pipeline.export_stage import export
from codex_ml.pipeline.finish_stage import report, result
from codex_ml.pipeline.prepare_stage import prepare
from codex_ml.pipeline.sample_stage import sample
from codex_ml.pipeline.train_stage import train
from codex_ml.tracking.opening import check_trackers

Stage = Callable[[Work], None]
#: `train` is the pipeline ending after the training stage: same directory, same identity.
TRAIN_STAGES: tuple[Stage, ...] = (prepare, train)
ALL_STAGES: tuple[Stage, ...] = (prepare, train, evaluate, sample, export, result, lineage, attest, report)


def run_codex_pipeline(request: Request, *, reporter: Reporter, stages: Sequence[Stage] = ALL_STAGES) -> Work:
    """Run *stages* on the run of the request, as its only writer.

    Among the workers of torchrun, rank 0 runs all stages and the others help to train.

    Run again after success, every stage finds its result and nothing is computed twice. Raises
    UsageError when the run's directory is locked or holds another run; Interrupted after a signal.
    """
    request = dataclasses.replace(request, config=located(request.config, home=request.home))
    check_trackers(request.config.tracking, runs=request.home.runs, network_allowed=request.network_allowed)
    work = Work(request=request, reporter=reporter if is_main() else Silent(), main=is_main())
    with work.directory.locked() if work.main else nullcontext():
        for stage in stages if work.main else TRAIN_STAGES:
            started = time.perf_counter()
            stage(work)
            work.seconds[stage.__name__] = round(time.perf_counter() - started, 3)
        if work.main and work.record:
            work.directory.seal(work.record)
    return work
