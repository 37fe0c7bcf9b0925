"""What `train` and `pipeline run` share: the options of a run, and how its end is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options, config_options

if TYPE_CHECKING:
    from codex_ml.pipeline.context import Request


@dataclass(frozen=True)
class RunOptions:
    """How a run was asked for on the command line."""

    overrides: tuple[str, ...]
    config_dir: Path | None
    resume_from: Path | None
    fresh: bool
    accept: tuple[str, ...]


def run_options(command: Callable[[Invocation, RunOptions], Any]) -> Callable[..., Any]:
    """Add overrides, --resume-from, --fresh, --accept-change and the common options."""

    def function(invocation: Invocation, **options: Any) -> Any:
        return command(invocation, RunOptions(**options))

    function.__name__, function.__doc__ = command.__name__, command.__doc__
    function = click.option(
        "--fresh", is_flag=True, help="Move an existing run of this name aside and start again."
    )(function)
    function = click.option(
        "--resume-from",
        type=click.Path(path_type=Path),
        help="Go on from this checkpoint directory instead of the newest one.",
    )(function)
    function = click.option(
        "--accept-change",
        "accept",
        multiple=True,
        metavar="FIELD",
        help="Go on although this field of the run's identity has changed; recorded, lowers the grade.",
    )(function)
    return common_options(config_options(function))


def make_request(invocation: Invocation, options: RunOptions) -> Request:
    """Compose the config and archive what --fresh replaces."""
    from codex_ml.core.workers import is_main
    from codex_ml.errors import UsageError
    from codex_ml.pipeline.context import Request

    if options.fresh and options.resume_from is not None:
        raise UsageError(
            "--fresh and --resume-from contradict each other", code="usage", next_step="give one"
        )
    if options.resume_from is not None and not options.resume_from.is_dir():
        raise UsageError(
            "--resume-from names no checkpoint directory",
            code="usage.resume-from",
            got=options.resume_from,
            next_step="look into runs/NAME/checkpoints",
        )
    config = invocation.compose(options.overrides, options.config_dir).config
    request = Request(
        config=config,
        home=invocation.home,
        resume_from=options.resume_from,
        accept=options.accept,
        network_allowed=invocation.network_allowed,
    )
    if options.fresh and is_main() and request.directory.path.exists():
        with request.directory.locked():
            moved = request.directory.archive()
        if moved is not None:
            invocation.reporter().say(f"the old run is kept in {moved}")
    return request
