"""`codex-ml train`: prepare what is missing and train; the pipeline up to its training stage."""

from __future__ import annotations

import click

from codex_ml.cli.common import Invocation, need
from codex_ml.cli.run_options import RunOptions, make_request, run_options


@click.command("train")
@run_options
def command(invocation: Invocation, options: RunOptions) -> None:
    """Train a run, or go on with it: the same command continues after any stop.

    OVERRIDES are key=value and group=option words, such as experiment=demo train.lr=1e-3.
    """
    need("train", "torch")
    from codex_ml.pipeline.runner import TRAIN_STAGES, run_codex_pipeline

    request = make_request(invocation, options)
    work = run_codex_pipeline(request, reporter=invocation.reporter(), stages=TRAIN_STAGES)
    assert work.outcome is not None
    if not work.main:
        return
    checkpoint = work.outcome.checkpoint
    record = {
        "run": request.config.name,
        "step": checkpoint.step,
        "checkpoint": str(checkpoint.path),
        "weights_sha256": checkpoint.weights,
        "already_finished": work.outcome.already_finished,
    }
    state = "is finished already" if work.outcome.already_finished else "trained"
    invocation.emit(
        record,
        f"{request.config.name} {state}: step {checkpoint.step}, weights {checkpoint.weights[:16]}, "
        f"{checkpoint.path}",
    )
