"""The command line: declared, checked, and tested as users call it."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "cli",
    "CLI & Interface Tooling",
    signals=(
        Signal(
            "cli.use",
            calls=(
                *("ArgumentParser", "click.command", "click.group", "typer.Typer", "typer.run", "fire.Fire"),
                *("hydra.main", "*.add_argument", "LightningCLI", "HfArgumentParser", "click.option"),
            ),
        ),
        Signal(
            "cli.tests",
            calls=(
                "*.parse_args",
                "CliRunner",
                "*.invoke",
                "subprocess.run",
                "script_runner.run",
                "*.run_cli",
                "run_cli",
            ),
        ),
    ),
    needs=(
        Need("use", ("cli.use",), "no command line", "everything is done by editing", "add one", 3),
        Need(
            "declared",
            ("config.scripts",),
            "no command is installed with the package",
            "it runs from its own directory alone",
            "declare [project.scripts]",
            2,
        ),
        Need(
            "dependencies",
            (),
            "a package that commands import is not declared",
            "commands break on a fresh installation",
            "declare what is imported",
            4,
            without=("undeclared-dependency",),
        ),
        Need(
            TESTED,
            ("test.cli",),
            "no test calls a command",
            "commands break unseen",
            "call each command in a test, as a sub-process or through its runner",
        ),
    ),
)
