"""A command: ``codex-ml count-lines FILE…``."""

from __future__ import annotations

import json
from pathlib import Path

import click

CODEX_ML_CONTRACT = {"commands": 1}


@click.command("count-lines")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the last line of stdout.")
def command(files: tuple[Path, ...], as_json: bool) -> None:
    """Count the lines of files."""
    counts = {str(file): len(file.read_bytes().splitlines()) for file in files}
    click.echo(
        json.dumps(counts) if as_json else "\n".join(f"{count:8} {name}" for name, count in counts.items())
    )
