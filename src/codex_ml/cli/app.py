"""The tree of commands. A command's module is imported when the command is needed, torch later still."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from codex_ml import __version__

if TYPE_CHECKING:
    from codex_ml.registry.plugins import Plugin

#: Command -> module below codex_ml.cli that holds it as `command`.
COMMANDS = {
    "attest": "attest",
    "audit": "audit",
    "checkpoint": "checkpoint",
    "completion": "completion",
    "config": "config",
    "data": "data",
    "digest": "digest",
    "doctor": "doctor",
    "env": "env",
    "errors": "errors",
    "eval": "evaluate",
    "generate": "generate",
    "lineage": "lineage",
    "model": "model",
    "pipeline": "pipeline",
    "plugins": "plugins",
    "reproduce": "reproduce",
    "runs": "runs",
    "scaffold": "scaffold",
    "selftest": "selftest",
    "store": "store",
    "sweep": "sweep",
    "tokenizer": "tokenizer",
    "train": "train",
    "verify": "verify",
}


class LazyGroup(click.Group):
    """A group whose commands are imported by name; their modules import click alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted({*COMMANDS, *(plugin.name for plugin in _plugins())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = COMMANDS.get(cmd_name)
        if module is None:
            return _plugin_command(cmd_name)
        command: click.Command = importlib.import_module(f"codex_ml.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Those of plugins come by name and owner alone: `--help` runs no code of others."""
        own = sorted(COMMANDS)
        limit = formatter.width - 6 - max(map(len, own))
        loaded = [(name, self.get_command(ctx, name)) for name in own]
        rows = [(name, one.get_short_help_str(limit)) for name, one in loaded if one is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        added = [(plugin.name, f"of {plugin.distribution} {plugin.version}") for plugin in _plugins()]
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(added)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click's own, with the nearest command in the message."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from codex_ml.errors import did_you_mean

            names = self.list_commands(ctx)
            if args[0] not in names:
                raise click.UsageError(
                    f"there is no command '{args[0]}': {did_you_mean(args[0], names)}", ctx
                )
        return super().resolve_command(ctx, args)


def _plugins() -> list[Plugin]:
    """Commands of installed plugins (``codex_ml.commands``); one of a name that exists stays hidden."""
    from codex_ml.registry.plugins import installed

    return [plugin for plugin in installed("commands") if plugin.name not in COMMANDS]


def _plugin_command(name: str) -> click.Command | None:
    """A command of a plugin. A broken one says what is broken when it is called."""
    if name not in [plugin.name for plugin in _plugins()]:
        return None
    from codex_ml.errors import RegistryError
    from codex_ml.registry import registry_for

    try:
        found: click.Command = registry_for("commands").get(name)
    except RegistryError as error:
        broken = error

        def fail() -> None:
            raise broken

        return click.Command(name, callback=fail, help="Does not load: see codex-ml plugins doctor.")
    return found


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="codex-ml")
def app() -> None:
    """Train, evaluate and audit code language models on your own machines, offline.

    \b
    codex-ml pipeline run experiment=demo      the whole path on the standard library
    codex-ml pipeline plan experiment=demo     what it will cost, before it starts
    """  # noqa: D301 - click reads this backspace as "keep these lines"
