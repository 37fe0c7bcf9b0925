"""`codex-ml checkpoint ls|verify|digest|prune|diff`: look after the checkpoints of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options

if TYPE_CHECKING:
    from codex_ml.checkpointing.listing import Row
    from codex_ml.provenance.run_directory import RunDirectory


@click.group("checkpoint")
def command() -> None:
    """The checkpoints of a run: list, verify, prune, compare. None of it needs torch."""


def _run(invocation: Invocation, name: str) -> RunDirectory:
    from codex_ml.provenance.run_directory import find_run

    return find_run(invocation.home.runs, name)


def _lines(rows: list[Row], *, verified: bool) -> list[str]:
    lines = [f"{'checkpoint':<22}{'MB':>9}  {'weights':<14}{'':<13}metrics"]
    for row in rows:
        marks = " ".join((*row.pointers, *(() if row.scheduled else ("by signal",))))
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in row.metrics.items())
        weights = (row.weights_sha256 or "")[:12]
        lines.append(f"{row.name:<22}{row.size / 1e6:>9,.1f}  {weights:<14}{marks:<13}{metrics}")
        if row.fault:
            lines.append(f"  BAD: {row.fault}")
        elif verified:
            lines[-1] += "  ok"
    return lines


@command.command("ls")
@common_options
@click.argument("run")
def ls(invocation: Invocation, run: str) -> None:
    """List the checkpoints of RUN, newest first, and what was set aside."""
    from codex_ml.checkpointing.listing import rows, set_aside

    directory = _run(invocation, run).checkpoints
    found, aside = rows(directory, verify=False), set_aside(directory)
    lines = _lines(found, verified=False) if found else [f"no checkpoints in {directory}"]
    lines += [f"set aside: {path}" for path in aside]
    record = {"checkpoints": [row.as_dict() for row in found], "set_aside": [str(path) for path in aside]}
    invocation.emit(record, "\n".join(lines))


@command.command("verify")
@common_options
@click.argument("target")
def verify(invocation: Invocation, target: str) -> int:
    """Read every byte of the checkpoints of TARGET, a run or one checkpoint directory; exit 3 if bad."""
    from codex_ml.checkpointing.layout import step_of
    from codex_ml.checkpointing.listing import behind, dangling, rows
    from codex_ml.checkpointing.reader import open_checkpoint

    path = Path(target)
    if step_of(path) is not None and path.is_dir():
        checkpoint = open_checkpoint(path)
        invocation.emit(
            {"checkpoints": [{"name": path.name, "fault": None}], "ok": True},
            f"{path} is good: step {checkpoint.step}, weights {checkpoint.weights}",
        )
        return 0
    directory = _run(invocation, target)
    found = rows(directory.checkpoints, verify=True, owner={"run_id": str(directory.read()["run_id"])})
    odd = dangling(directory.checkpoints)
    bad = [row for row in found if row.fault]
    late = behind(directory.checkpoints)
    lines = [*_lines(found, verified=True), *(f"BAD: {text}" for text in odd)]
    lines += [f"note: {late}; the next start moves it"] if late else []
    lines.append(f"{len(found) - len(bad)} of {len(found)} checkpoints are good")
    ok = not bad and not odd
    record = {"checkpoints": [row.as_dict() for row in found], "pointers": odd, "ok": ok}
    invocation.emit(record, "\n".join(lines))
    return 0 if ok else 3


@command.command("digest")
@common_options
@click.argument("target")
def digest(invocation: Invocation, target: str) -> None:
    """Print the weights digest of TARGET: a run, a checkpoint, an export or a safetensors file."""
    from codex_ml.checkpointing.digest import weights_digest
    from codex_ml.checkpointing.layout import MODEL, SHARDS, list_checkpoints, step_of
    from codex_ml.checkpointing.reader import open_checkpoint
    from codex_ml.errors import UsageError

    path = Path(target)
    if not path.is_file() and step_of(path) is None and not (path / MODEL).is_file():
        newest = next(iter(list_checkpoints(_run(invocation, target).checkpoints)), None)
        if newest is None:
            raise UsageError(
                f"the run '{target}' has no checkpoint", code="checkpoint.missing", next_step="train it"
            )
        path = newest
    if (path / SHARDS).is_dir():
        value = open_checkpoint(path).weights
    else:
        value = weights_digest(path if path.is_file() else path / MODEL)
    invocation.emit({"weights_sha256": value, "path": str(path)}, value)


@command.command("prune")
@common_options
@click.option("--keep-last", type=click.IntRange(min=1), help="Newest checkpoints kept.")
@click.option("--keep-best", type=click.IntRange(min=0), help="Best checkpoints kept.")
@click.option("--keep-every", type=click.IntRange(min=0), help="Every n-th step is kept; 0: none.")
@click.option(
    "--metric",
    type=click.Choice(["loss", "perplexity", "token_accuracy"]),
    help="Metric that ranks them.",
)
@click.option("--mode", type=click.Choice(["auto", "min", "max"]), help="Which end of it is better.")
@click.option("--set-aside", is_flag=True, help="Also remove what was set aside as damaged or later.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.argument("run")
def prune(invocation: Invocation, run: str, set_aside: bool, dry_run: bool, **asked: Any) -> None:
    """Remove the checkpoints of RUN that a policy does not keep; by default the run's own.

    The newest one that verifies always stays.
    """
    from codex_ml.pipeline.prune import prune_run

    directory = _run(invocation, run)
    policy = {name: value for name, value in asked.items() if value is not None}
    with directory.locked():
        gone = prune_run(directory, policy=policy, set_aside=set_aside, dry_run=dry_run)
    word = "would be removed" if dry_run else "removed"
    text = "\n".join([*gone, f"{len(gone)} {word}"])
    invocation.emit({"removed": gone, "dry_run": dry_run}, text)


@command.command("diff")
@common_options
@click.argument("left")
@click.argument("right")
def diff(invocation: Invocation, left: str, right: str) -> None:
    """Say in which tensors and counters two checkpoint directories (or runs' newest) differ."""
    from codex_ml.checkpointing.listing import differences

    one, two = (_checkpoint(invocation, target) for target in (left, right))
    found = differences(one, two)
    lines = [f"{one.path} (step {one.step})  ->  {two.path} (step {two.step})"]
    width = max((len(item.name) for item in found), default=0)
    for item in found:
        most = "" if item.most is None else f", by at most {item.most:.3g}"
        lines.append(f"  {item.part:<24}{item.name:<{width + 2}}{item.what}{most}")
    lines.append(f"{len(found)} differences" if found else "equal")
    record = {"equal": not found, "differences": [vars(item) for item in found]}
    invocation.emit(record, "\n".join(lines))


def _checkpoint(invocation: Invocation, target: str) -> Any:
    from codex_ml.checkpointing.layout import list_checkpoints
    from codex_ml.checkpointing.reader import open_checkpoint

    path = Path(target)
    if path.is_dir() and not (path / "run.json").is_file():
        return open_checkpoint(path)
    newest = next(iter(list_checkpoints(_run(invocation, target).checkpoints)), path)
    return open_checkpoint(newest)
