"""`codex-ml pipeline run|plan`: from data to report, or what that would cost."""

from __future__ import annotations

from pathlib import Path

import click

from codex_ml.cli.common import Invocation, common_options, config_options, need
from codex_ml.cli.run_options import RunOptions, make_request, run_options


@click.group("pipeline")
def command() -> None:
    """From data to a trained, evaluated, exported and reported model."""


@command.command("run")
@run_options
def run(invocation: Invocation, options: RunOptions) -> None:
    """Run every stage: data, tokenizer, training, evaluation, samples, export, report.

    Run again it finds what is done; killed it goes on. OVERRIDES are key=value and group=option
    words, such as experiment=demo data.source=files data.path=~/src.
    """
    need("train", "torch")
    need("report", "matplotlib", "jinja2", "pygments")
    from codex_ml.cli.summary import run_record, run_summary
    from codex_ml.pipeline.runner import run_codex_pipeline

    request = make_request(invocation, options)
    work = run_codex_pipeline(request, reporter=invocation.reporter())
    assert work.outcome is not None
    if not work.main:
        return
    record = run_record(work.directory)
    record["already_finished"] = work.outcome.already_finished
    invocation.emit(record, run_summary(work.directory))


@command.command("plan")
@common_options
@config_options
def plan(invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None) -> None:
    """Say what a run will cost, without training: size, tokens, memory, disk, time.

    Fails when memory or disk cannot hold it.
    """
    need("train", "torch")
    from codex_ml.pipeline.base import located
    from codex_ml.pipeline.plan import check_plan, make_plan, plan_text

    config = invocation.compose(overrides, config_dir).config
    planned = make_plan(located(config, home=invocation.home), home=invocation.home)
    invocation.emit(planned.as_dict(), plan_text(planned))
    check_plan(planned)
