"""`codex-ml runs`: what has been trained here, and how well."""

from __future__ import annotations

from typing import Any

import click

from codex_ml.cli.common import Invocation, common_options
from codex_ml.cli.runs_keep import archive, gc
from codex_ml.cli.runs_view import compare, plot, tail, watch

STATES = ("finished", "trained", "running", "unfinished", "damaged")


@click.group("runs")
def command() -> None:
    """The runs of this workspace."""


for part in (archive, compare, gc, plot, tail, watch):
    command.add_command(part)


@command.command("ls")
@common_options
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
@click.option("--match", metavar="TEXT", help="Only runs with this text in their name.")
@click.option("--limit", type=click.IntRange(1), help="Only the newest so many.")
def ls(invocation: Invocation, state: str | None, match: str | None, limit: int | None) -> None:
    """List the runs with their state and main figures."""
    from codex_ml.provenance.index import list_summaries

    rows = [
        row
        for row in list_summaries(invocation.home)
        if (state is None or row["state"] == state) and (match is None or match in row["run"])
    ]
    if limit is not None:
        newest = sorted(rows, key=lambda row: row["created"] or 0.0)[-limit:]
        rows = [row for row in rows if row in newest]
    empty = f"no runs in {invocation.home.runs}; start with: codex-ml pipeline run experiment=demo"
    if state is not None or match is not None:
        empty = "no run is like that; see all with: codex-ml runs ls"
    invocation.emit({"runs": rows}, _table(rows) if rows else empty)


def _table(rows: list[dict[str, Any]]) -> str:
    wide = max(24, *(len(row["run"]) + 2 for row in rows))
    lines = [f"{'run':<{wide}}{'state':<12}{'step':>8}{'loss':>10}{'bits/byte':>11}  weights"]
    for row in rows:
        loss, bits = (row["metrics"].get(name) for name in ("loss", "bits_per_byte"))
        figures = f"{_figure(loss, '.4f'):>10}{_figure(bits, '.3f'):>11}"
        weights = (row["weights_sha256"] or "")[:12]
        lines.append(f"{row['run']:<{wide}}{row['state']:<12}{row['step']:>8}{figures}  {weights}".rstrip())
    return "\n".join(lines)


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


@command.command("show")
@common_options
@click.argument("name")
def show(invocation: Invocation, name: str) -> None:
    """Show one run: figures, digests, completions, where to look next."""
    from codex_ml.cli.summary import run_record, run_summary
    from codex_ml.provenance.run_directory import find_run

    directory = find_run(invocation.home.runs, name)
    invocation.emit(run_record(directory), run_summary(directory))


@command.command("schema")
@common_options
def schema(invocation: Invocation) -> None:
    """Print the JSON Schema of run.json."""
    import json

    from codex_ml.provenance.schema import run_schema

    found = run_schema()
    invocation.emit(found, json.dumps(found, indent=1))


@command.command("best")
@common_options
@click.option("--metric", default="loss", show_default=True, help="A figure of the evaluation.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True)
@click.option("--match", metavar="TEXT", help="Only runs with this text in their name.")
def best(invocation: Invocation, metric: str, top: int, match: str | None) -> None:
    """Rank the evaluated runs by one metric; the better end of it is known."""
    from codex_ml.report.ranking import rank

    rows = rank(invocation.home, metric=metric, match=match)[:top]
    lines = [f"{'':>3}  {metric:>12}  run"]
    lines += [f"{place:>3}  {row['value']:>12.5g}  {row['run']}" for place, row in enumerate(rows, 1)]
    invocation.emit({"metric": metric, "runs": rows}, "\n".join(lines))


@command.command("diff")
@common_options
@click.argument("left")
@click.argument("right")
def diff(invocation: Invocation, left: str, right: str) -> None:
    """Say why two runs differ: config, inputs, environment, and the first step that differs."""
    from codex_ml.pipeline.compare import compare_runs
    from codex_ml.provenance.run_directory import find_run

    found = compare_runs(*(find_run(invocation.home.runs, name) for name in (left, right)))
    lines = [
        f"{item.part:<11}{item.role:<12}{item.key}: {item.left!r} -> {item.right!r}"
        for item in found.differences
    ]
    if found.diverged is None:
        lines.append(f"the journals are equal for {found.common_steps} steps, as far as both go")
    else:
        step = found.diverged["step"]
        lines.append(f"{found.common_steps} steps are equal; the first that differs is step {step}:")
        for name, (one, two) in found.diverged["fields"].items():
            lines.append(f"  {name}: {_readable(one)} -> {_readable(two)}")
    invocation.emit({"left": left, "right": right, **found.as_dict()}, "\n".join(lines))


def _readable(value: object) -> str:
    """A float written as hex, also in decimal; digests shortened."""
    text = str(value)
    if text.startswith(("0x", "-0x")):
        return f"{float.fromhex(text):.9g} ({text})"
    return text[:16]
