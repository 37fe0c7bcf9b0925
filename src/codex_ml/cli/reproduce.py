"""`codex-ml reproduce`: run a stretch of a past run again and compare."""

from __future__ import annotations

import click

from codex_ml.cli.common import Invocation, common_options, need


@click.command("reproduce")
@common_options
@click.option("--from-step", type=click.IntRange(min=0), help="Start at the last checkpoint up to this step.")
@click.option("--steps", type=click.IntRange(min=1), help="Steps to run again; by default all that follow.")
@click.argument("run")
def command(invocation: Invocation, run: str, from_step: int | None, steps: int | None) -> int:
    """Train a stretch of RUN again in memory; name the first step and field that differ, and exit 3.

    Starts at the oldest kept checkpoint unless told; --from-step 0 starts at the first weights. A
    run of several workers is reproduced under torchrun with as many.
    """
    need("train", "torch")
    from codex_ml.core.workers import is_main
    from codex_ml.pipeline.reproduce import reproduce
    from codex_ml.provenance.run_directory import find_run

    directory = find_run(invocation.home.runs, run)
    result = reproduce(
        directory, home=invocation.home, from_step=from_step, steps=steps, reporter=invocation.reporter()
    )
    if not is_main():
        return 3 if result.divergence else 0
    lines = [f"this machine or code differs from the run's: {text}" for text in result.environment]
    end = result.from_step + result.steps
    if result.divergence is None:
        lines.append(
            f"steps {result.from_step + 1} to {end} came out with the same bits "
            f"({result.checkpoints_compared} checkpoints compared)"
        )
    else:
        found = result.divergence
        lines.append(f"step {found.step} differs in {found.field}:")
        lines += [f"  recorded  {found.recorded}", f"  again     {found.again}"]
    invocation.emit({**result.as_dict(), "ok": result.divergence is None}, "\n".join(lines))
    return 3 if result.divergence else 0
