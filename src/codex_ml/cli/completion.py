"""`codex-ml completion SHELL`: print the script that completes commands and overrides."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from codex_ml.cli.common import Invocation, common_options


@click.command("completion")
@common_options
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(invocation: Invocation, shell: str) -> None:
    """Print the completion script of SHELL.

    For bash: eval "$(codex-ml completion bash)"
    """
    from codex_ml.cli.app import app

    found = get_completion_class(shell)
    assert found is not None
    script = found(app, {}, "codex-ml", "_CODEX_ML_COMPLETE").source()
    invocation.emit({"shell": shell, "script": script}, script)
