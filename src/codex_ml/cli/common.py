"""What every command shares: --json, --quiet, --allow-network, config overrides, its voice."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.console import close_bars, make_reporter
from codex_ml.core.ndjson import finite
from codex_ml.core.offline import allow_network, deny_network
from codex_ml.core.paths import Home, home

if TYPE_CHECKING:
    from codex_ml.config.compose import Composed
    from codex_ml.interfaces.reporter import Reporter

Function = Callable[..., Any]


@dataclass(frozen=True)
class Invocation:
    """One call of one command: how it speaks, and where it works."""

    as_json: bool
    quiet: bool
    network_allowed: bool
    home: Home

    def reporter(self) -> Reporter:
        """The voice of long work, on stderr."""
        return make_reporter(quiet=self.quiet)

    def emit(self, record: Mapping[str, Any], text: str | None = None) -> None:
        """The result: with --json one object on the last line of stdout, else *text* for people."""
        close_bars()
        if self.as_json:
            if text and not self.quiet:
                print(text, file=sys.stderr)
            print(json.dumps(finite(record), ensure_ascii=False, default=str, allow_nan=False))
        elif text is not None:
            print(text)

    def compose(self, overrides: tuple[str, ...], config_dir: Path | None) -> Composed:
        """The config of this call, warnings about unknown CODEX_* variables on stderr."""
        from codex_ml.config.compose import compose
        from codex_ml.config.environment import unknown_variables

        for warning in unknown_variables(os.environ):
            logging.getLogger(__name__).warning(warning)
        return compose(overrides, config_dir=config_dir)


def need(extra: str, *modules: str) -> None:
    """Import what a command cannot do without, before it starts. Raises MissingExtraError.

    A command that computes with torch starts from seeded generators, before it knows a run's own seed.
    """
    from codex_ml.core.optional import require

    for module in modules:
        require(module, extra=extra)
    if "torch" in modules:
        from codex_ml.provenance.determinism import set_seed

        set_seed(0)


def common_options(function: Function) -> Function:
    """Add --json, --quiet and --allow-network; the function gets an `Invocation` instead."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object on the last line of stdout.")
    @click.option("--quiet", "-q", is_flag=True, help="No progress.")
    @click.option("--allow-network", is_flag=True, help="Let this call reach the network; recorded.")
    def wrapper(*, as_json: bool, quiet: bool, allow_network: bool, **options: Any) -> Any:
        _set_up(network=allow_network)
        invocation = Invocation(as_json, quiet, allow_network, home())
        return function(invocation, **options)

    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    wrapper.__click_params__ = [  # type: ignore[attr-defined]
        *getattr(function, "__click_params__", []),
        *wrapper.__click_params__,  # type: ignore[attr-defined]
    ]
    return wrapper


def config_options(function: Function) -> Function:
    """Add the words ``key=value`` and --config-dir."""
    function = click.argument("overrides", nargs=-1, shell_complete=complete_override)(function)
    return click.option(
        "--config-dir",
        type=click.Path(path_type=Path),
        help="A folder with further config groups, such as experiment/mine.yaml.",
    )(function)


def complete_override(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Shell completion of overrides: group options and keys, without composing anything."""
    from codex_ml.config.groups import group_options
    from codex_ml.config.keys import all_keys

    options = [f"{group}={option}" for group, names in group_options().items() for option in names]
    words = options if "=" in incomplete else [*options, *(f"{path}=" for path in all_keys())]
    return [word for word in words if word.startswith(incomplete)]


def _set_up(*, network: bool) -> None:
    from codex_ml.monitoring.codex_logging import LogSettings, setup_logging

    if network:
        allow_network()
    else:
        deny_network()
    setup_logging(LogSettings.from_environment(os.environ), stream=_StderrOfNow())


class _StderrOfNow:
    """Whatever stderr is when something is written."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()
