"""What `train` and `pipeline run` share: the options of a run, and how its end is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options, config_options

if TYPE_CHECKING:
    from codex_ml.pipeline.context import Request


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add overrides, --resume-from, --fresh and the common options."""
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


def make_request(
    invocation: Invocation,
    *,
    overrides: tuple[str, ...],
    config_dir: Path | None,
    resume_from: Path | None,
    fresh: bool,
    accept: tuple[str, ...],
) -> Request:
    """Compose the config and archive what --fresh replaces."""
    from codex_ml.core.workers import is_main
    from codex_ml.errors import UsageError
    from codex_ml.pipeline.context import Request

    if fresh and resume_from is not None:
        raise UsageError(
            "--fresh and --resume-from contradict each other", code="usage", next_step="give one"
        )
    if resume_from is not None and not resume_from.is_dir():
        raise UsageError(
            "--resume-from names no checkpoint directory",
            code="usage.resume-from",
            got=resume_from,
            next_step="look into runs/NAME/checkpoints",
        )
    config = invocation.compose(overrides, config_dir).config
    request = Request(
        config=config,
        home=invocation.home,
        resume_from=resume_from,
        accept=accept,
        network_allowed=invocation.network_allowed,
    )
    if fresh and is_main() and request.directory.path.exists():
        with request.directory.locked():
            moved = request.directory.archive()
        if moved is not None:
            invocation.reporter().say(f"the old run is kept in {moved}")
    return request
