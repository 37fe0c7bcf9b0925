"""`codex-ml runs ls|show`: what has been trained here."""

from __future__ import annotations

import click

from codex_ml.cli.common import Invocation, common_options


@click.group("runs")
def command() -> None:
    """The runs of this workspace."""


@command.command("ls")
@common_options
def ls(invocation: Invocation) -> None:
    """List the runs with their state and main figures."""
    from codex_ml.provenance.index import list_summaries

    rows = list_summaries(invocation.home.runs)
    lines = [f"{'run':<24}{'state':<14}{'step':>8}{'loss':>10}{'bits/byte':>11}  weights"]
    for row in rows:
        loss = "" if row["loss"] is None else f"{row['loss']:.4f}"
        bits = "" if row["bits_per_byte"] is None else f"{row['bits_per_byte']:.3f}"
        weights = (row["weights_sha256"] or "")[:12]
        lines.append(f"{row['run']:<24}{row['state']:<14}{row['step']:>8}{loss:>10}{bits:>11}  {weights}")
    empty = f"no runs in {invocation.home.runs}; start with: codex-ml pipeline run experiment=demo"
    invocation.emit({"runs": rows}, "\n".join(lines) if rows else empty)


@command.command("show")
@common_options
@click.argument("name")
def show(invocation: Invocation, name: str) -> None:
    """Show one run: figures, digests, completions, where to look next."""
    from codex_ml.cli.summary import run_record, run_summary
    from codex_ml.provenance.run_directory import find_run

    directory = find_run(invocation.home.runs, name)
    invocation.emit(run_record(directory), run_summary(directory))


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
