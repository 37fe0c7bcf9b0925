"""`codex-ml scaffold KIND NAME`: a working part with a passing test, registered."""

from __future__ import annotations

from pathlib import Path

import click

from codex_ml.cli.common import Invocation, common_options

#: As in codex_ml.scaffold.kinds, which is not imported for --help.
_WORDS = (
    "tokenizer",
    "metric",
    "model",
    "data-source",
    "reward",
    "agent",
    "tracker",
    "callback",
    "rule",
    "plugin",
)


@click.command("scaffold")
@common_options
@click.argument("kind", type=click.Choice(_WORDS), required=False)
@click.argument("name", required=False)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The package that the part goes into.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written, as a diff.")
@click.option(
    "--check", "checked", is_flag=True, help="Say where the package has moved away from what was made."
)
def command(
    invocation: Invocation, kind: str | None, name: str | None, folder: Path, dry_run: bool, checked: bool
) -> int:
    """Make a part of a plugin: working code, a passing test, its entry point. Nothing is overwritten."""
    if checked:
        return _check(invocation, folder)
    if kind is None or name is None:
        raise click.UsageError("KIND and NAME are needed, or --check")
    from codex_ml.scaffold.project import add_part, plugin_change

    change = plugin_change(name, folder) if kind == "plugin" else add_part(kind, name, folder)
    if dry_run:
        invocation.emit({"written": [], "diff": change.diff()}, change.diff().rstrip("\n"))
        return 0
    written = change.write()
    after = f"next: pip install -e {change.root} && pytest {change.root / 'tests'}"
    invocation.emit({"written": [str(path) for path in written]}, "\n".join([*map(str, written), after]))
    return 0


def _check(invocation: Invocation, folder: Path) -> int:
    from codex_ml.scaffold.drift import anything_made, drift

    found = drift(folder)
    rows = [vars(one) for one in found]
    as_made = "everything is as it was made" if anything_made(folder) else "no part was made here"
    lines = [f"{'DRIFT' if one.harmful else 'note':5}  {one.part}: {one.what}" for one in found]
    invocation.emit({"drift": rows}, "\n".join(lines) or as_made)
    return 3 if any(one.harmful for one in found) else 0
