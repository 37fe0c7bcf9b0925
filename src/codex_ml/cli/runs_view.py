"""`codex-ml runs compare|plot|tail|watch`: look at runs, also at one that is running."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options

if TYPE_CHECKING:
    from codex_ml.provenance.run_directory import RunDirectory
    from codex_ml.report.side_by_side import SideBySide


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """Ctrl-C ends what only looks; it is no interruption of work."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGINT, before)


def _found(invocation: Invocation, names: tuple[str, ...]) -> list[RunDirectory]:
    from codex_ml.provenance.run_directory import find_run

    return [find_run(invocation.home.runs, name) for name in dict.fromkeys(names)]


@click.command("compare")
@common_options
@click.argument("names", nargs=-1, required=True, metavar="RUN RUN…")
@click.option("--html", type=click.Path(path_type=Path), help="Also write one page with overlaid curves.")
def compare(invocation: Invocation, names: tuple[str, ...], html: Path | None) -> None:
    """Set the figures of several runs side by side, with what was asked of them in other words."""
    from codex_ml.report.comparison import write_comparison
    from codex_ml.report.side_by_side import read_runs, side_by_side

    runs = read_runs(_found(invocation, names))
    found = side_by_side(runs) if html is None else write_comparison(html, runs)
    text = _side_by_side(found) + ("" if html is None else f"\n\nthe page: {html}")
    invocation.emit({**found.as_dict(), "html": None if html is None else str(html)}, text)


def _side_by_side(found: SideBySide) -> str:
    from codex_ml.report.numbers import ABSENT, number, setting

    rows: list[tuple[str, list[str]]] = [("", list(found.runs))]
    for row in found.metrics:
        texts = [ABSENT if value is None else number(value, digits=5) for value in row.values]
        rows.append((row.metric, [f"{text} *" if at in row.best else text for at, text in enumerate(texts)]))
    differing = [
        (key, [_short(setting(value)) for value in values]) for key, values in found.differences.items()
    ]
    wide = max(len(name) for name, _ in [*rows, *differing]) + 2
    columns = [max(len(cells[at]) for _, cells in [*rows, *differing]) + 2 for at in range(len(found.runs))]

    def line(name: str, cells: list[str]) -> str:
        return f"{name:<{wide}}" + "".join(
            f"{cell:>{room}}" for cell, room in zip(cells, columns, strict=True)
        )

    table = [line(*row) for row in rows]
    same = "asked for in the same words" if not differing else "asked for in other words:"
    return "\n".join([*table, "", same, *(line(*row) for row in differing)])


def _short(text: str) -> str:
    return text if len(text) <= 32 else f"{text[:31]}…"


@click.command("plot")
@common_options
@click.argument("names", nargs=-1, required=True, metavar="RUN…")
@click.option("--metric", default="loss", show_default=True)
@click.option("--split", default="train", show_default=True)
@click.option("--log", "logarithmic", is_flag=True, help="A logarithmic axis of values.")
@click.option("--height", type=click.IntRange(3, 200), default=16, show_default=True)
def plot(
    invocation: Invocation, names: tuple[str, ...], metric: str, split: str, logarithmic: bool, height: int
) -> None:
    """Draw a metric of one or more runs in the terminal."""
    from codex_ml.errors import UsageError, did_you_mean
    from codex_ml.report.side_by_side import read_runs
    from codex_ml.report.terminal import SIGNS, plot

    runs = read_runs(_found(invocation, names))
    curves = [run.curve(split, metric) for run in runs]
    width = shutil.get_terminal_size((100, 24)).columns
    lines = plot(curves, width=width, height=height, log=logarithmic)
    if not lines:
        known = sorted({f"{key[1]} --split {key[0]}" for run in runs for key in run.curves})
        raise UsageError(
            f"there is nothing to draw of '{metric}' of the split '{split}'",
            code="runs.metric",
            got=", ".join(run.name for run in runs),
            next_step=did_you_mean(f"{metric} --split {split}", known)
            if known
            else "wait for the first record",
        )
    signs = "" if len(runs) == 1 else SIGNS
    legend = [f"{signs[at % len(SIGNS)]} {run.name}" if signs else run.name for at, run in enumerate(runs)]
    title = f"{split} {metric}{' (logarithmic)' if logarithmic else ''}: {', '.join(legend)}"
    record = [
        {"run": run.name, "steps": curve.steps, "values": curve.values}
        for run, curve in zip(runs, curves, strict=True)
    ]
    invocation.emit({"metric": metric, "split": split, "runs": record}, "\n".join([title, *lines]))


@click.command("tail")
@common_options
@click.argument("name", metavar="RUN")
@click.option("--follow", "-f", is_flag=True, help="Go on while the run is at work.")
@click.option("--lines", "-n", type=click.IntRange(1), default=10, show_default=True)
def tail(invocation: Invocation, name: str, follow: bool, lines: int) -> None:
    """Print the newest records of a run, one line for each step and split."""
    from codex_ml.report.follow import Follower, told

    (directory,) = _found(invocation, (name,))
    follower = Follower(directory)
    groups = follower.read()
    shown: list[dict[str, Any]] = groups[-lines:]
    sys.stdout.writelines(f"{told(group)}\n" for group in shown if not invocation.as_json)
    with _until_interrupted():
        while follow and follower.wait():
            fresh = follower.read()
            shown += fresh
            if not invocation.as_json:
                sys.stdout.writelines(f"{told(group)}\n" for group in fresh)
                sys.stdout.flush()
    invocation.emit({"run": directory.name, "records": shown, "running": directory.busy()})


@click.command("watch")
@common_options
@click.argument("names", nargs=-1, metavar="[RUN]…")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="0: any free one."
)
@click.option("--seconds", type=click.FloatRange(0), help="Stop after so long; otherwise Ctrl-C does.")
def watch(invocation: Invocation, names: tuple[str, ...], port: int, seconds: float | None) -> None:
    """Serve a live page of these runs (default: all at work) to a browser on this machine alone."""
    from codex_ml.report.watch import make_server

    directories = _found(invocation, names)
    told = invocation.reporter().say
    paths = [found.path for found in directories]
    server = make_server(invocation.home, paths, port=port)
    told(f"watching on {server.address} (Ctrl-C ends it)")
    with server, _until_interrupted():
        server.serve(seconds=seconds)
    invocation.emit({"port": server.port, "requests": server.requests})
