"""`codex-ml sweep`: many runs of one config with some of its values varied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options, config_options

if TYPE_CHECKING:
    from codex_ml.config.space import Dimension
    from codex_ml.pipeline.sweep.record import Asked, Record


@click.command("sweep")
@common_options
@config_options
@click.option("--space", type=click.Path(path_type=Path), help="A YAML file with `words` and `vary`.")
@click.option("--metric", help="The figure that ranks the trials (default: loss).")
@click.option(
    "--trials", type=click.IntRange(1), help="Sample so many with Optuna instead of the whole grid."
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Trials at the same time.")
@click.option(
    "--launcher",
    type=click.Choice(["local", "slurm"]),
    default="local",
    show_default=True,
    help="Processes here, or SLURM jobs through submitit.",
)
@click.option(
    "--slurm", multiple=True, metavar="KEY=VALUE", help="A parameter of submitit, such as timeout_min=60."
)
@click.option("--show", is_flag=True, help="Only the table of what there is.")
@click.option("--dry-run", is_flag=True, help="Say what would be tried; run nothing.")
def command(invocation: Invocation, overrides: tuple[str, ...], **options: Any) -> int:
    """Run every combination of the values in OVERRIDES: `train.lr=1e-3,3e-4 seed=range(0,3)`.

    name=NAME names the sweep; its trials are the runs NAME-000, NAME-001 and so on. The same command goes on
    with a sweep that was interrupted.
    """
    from codex_ml.pipeline.sweep.record import Record
    from codex_ml.pipeline.sweep.start import prepare, start

    if options["show"]:
        record = Record.read(invocation.home.sweep(_name(overrides)) / "sweep.json")
        if options["metric"] is not None:
            record = record.judged_by(options["metric"], invocation.home)
        return _result(invocation, record, page=False)
    options["metric"] = options["metric"] or "loss"
    asked, dimensions = prepare(
        overrides, **_only(options, "config_dir", "space", "metric", "trials", "jobs", "launcher")
    )
    if options["dry_run"]:
        return _say(invocation, asked, dimensions)
    record = start(
        asked,
        dimensions,
        home=invocation.home,
        network_allowed=invocation.network_allowed,
        reporter=invocation.reporter(),
        **_only(options, "config_dir", "jobs", "launcher", "slurm"),
    )
    return _result(invocation, record, page=True)


def _name(overrides: tuple[str, ...]) -> str:
    """The sweep that is to be shown."""
    from codex_ml.errors import UsageError

    named = [word.removeprefix("name=") for word in overrides if word.startswith("name=")]
    if not named:
        raise UsageError("--show needs the name of a sweep", code="usage", next_step="add name=NAME")
    return named[-1]


def _result(invocation: Invocation, record: Record, *, page: bool) -> int:
    """The table of a sweep and, where asked for, its page; the exit code is 1 when a trial failed."""
    from codex_ml.metrics.functions import HIGHER_IS_BETTER
    from codex_ml.pipeline.sweep.record import ranked
    from codex_ml.report.sweep_page import write_sweep_page

    asked = record.asked
    rows = [_row(trial, invocation) for trial in ranked(record, higher=asked.metric in HIGHER_IS_BETTER)]
    written = None
    if page:
        written = write_sweep_page(invocation.home, name=asked.name, metric=asked.metric, rows=rows)
    failed = sum(trial.state == "failed" for trial in record.trials)
    emitted = {"sweep": asked.name, "metric": asked.metric, "trials": rows, "failed": failed}
    told = _table(record, rows) + ("" if written is None else f"\n\nthe page: {written}")
    invocation.emit({**emitted, "page": None if written is None else str(written)}, told)
    return 1 if failed else 0


def _say(invocation: Invocation, asked: Asked, dimensions: list[Dimension]) -> int:
    """What a sweep would try: every combination, or what samples are drawn from."""
    from codex_ml.config.space import grid

    words = [] if asked.trials else [" ".join(row) for row in grid(dimensions)]
    told = words or [f"{asked.trials} samples of {', '.join(asked.varied)}, {asked.parallel} at a time"]
    common = f"with {' '.join(asked.words)}" if asked.words else ""
    record = {"sweep": asked.name, **asked.as_dict(), "grid": words}
    invocation.emit(record, "\n".join([*told, f"{len(words) or asked.trials} trials {common}".rstrip()]))
    return 0


def _only(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names}


def _row(trial: Any, invocation: Invocation) -> dict[str, Any]:
    """A trial, and the trackers that lost records of its run."""
    from codex_ml.tracking.opening import read_health

    health = read_health(invocation.home.run(trial.run))
    lost = {name: row["state"] for name, row in health.items() if row["dropped"] or row["state"] == "failed"}
    return {
        "trackers": lost,
        "run": trial.run,
        "state": trial.state,
        "value": trial.value,
        "words": list(trial.words),
        "seconds": trial.seconds,
        "fault": trial.fault,
    }


def _table(record: Record, rows: list[dict[str, Any]]) -> str:
    lines = [f"{'':>3}  {record.asked.metric:>12}  {'run':<24}{'varied'}"]
    for place, row in enumerate(rows, 1):
        value = row["state"] if row["value"] is None else f"{row['value']:.5g}"
        lost = "".join(f"  ({name}: records lost)" for name in row["trackers"])
        lines.append(f"{place:>3}  {value:>12}  {row['run']:<24}{' '.join(row['words'])}{lost}")
    return "\n".join(lines)
