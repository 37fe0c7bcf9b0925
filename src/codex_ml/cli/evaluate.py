"""`codex-ml eval`: measure a run, a checkpoint or an export on held-out data."""

from __future__ import annotations

from pathlib import Path

import click

from codex_ml.cli.common import Invocation, common_options, need


@click.command("eval")
@common_options
@click.argument("target")
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="validation", show_default=True
)
@click.option("--task", "tasks", multiple=True, help="A task to run (repeatable); default: eval.tasks.")
@click.option(
    "--data", "data_path", type=click.Path(path_type=Path), help="Data to use in place of data.path."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Also append metrics.ndjson and metrics.csv there."
)
def command(
    invocation: Invocation,
    target: str,
    split: str,
    tasks: tuple[str, ...],
    data_path: Path | None,
    out: Path | None,
) -> None:
    """Evaluate TARGET: the name of a run, a checkpoint directory or an export directory.

    The data is that of the target's config, prepared again where the store lacks it.
    """
    need("train", "torch")
    from codex_ml.evaluation.session import evaluate_target

    result, found = evaluate_target(
        target,
        home=invocation.home,
        split=split,
        tasks=tasks,
        data_path=data_path,
        out=out,
        reporter=invocation.reporter(),
    )
    record = {
        "target": str(found.path),
        "kind": found.kind,
        "step": found.step,
        "split": split,
        "weights_sha256": found.weights_sha256,
        "dataset": result.dataset,
        "metrics": result.values(),
    }
    lines = [f"{found.kind} {found.path} (step {found.step}) on {split}:"]
    for name, m in result.metrics.items():
        interval = (
            f"  [{m.ci_low:.4f}, {m.ci_high:.4f}]" if m.ci_low is not None and m.ci_high is not None else ""
        )
        lines.append(f"  {name:<24}{m.value:>10.4f}{interval}  n={m.n:,}")
    invocation.emit(record, "\n".join(lines))
