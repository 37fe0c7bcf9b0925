"""`codex-ml runs archive|gc`: move runs aside, pack them, and remove what nobody goes on with."""

from __future__ import annotations

from pathlib import Path

import click

from codex_ml.cli.common import Invocation, common_options


@click.command("archive")
@common_options
@click.argument("name", metavar="RUN")
@click.option(
    "--to", "target", type=click.Path(path_type=Path), help="Pack it into this new tar file instead."
)
@click.option("--remove", is_flag=True, help="With --to: remove the run once the file was read back.")
def archive(invocation: Invocation, name: str, target: Path | None, remove: bool) -> None:
    """Move a run aside, so that its name is free, or pack it into one file."""
    from codex_ml.errors import UsageError
    from codex_ml.provenance.keeping import pack, remove_run
    from codex_ml.provenance.run_directory import find_run

    if remove and target is None:
        raise UsageError(
            "--remove goes with --to", code="usage", next_step="name the file to pack the run into"
        )
    directory = find_run(invocation.home.runs, name)
    with directory.locked():
        if target is None:
            moved = directory.archive()
            invocation.emit({"run": name, "moved_to": str(moved)}, f"{name} is kept in {moved}")
            return
        digest = pack(directory, target)
        if remove:
            remove_run(directory)
    gone = "; the run itself is removed" if remove else ""
    text = (
        f"{name} is packed into {target} (sha256 {digest[:12]}){gone}; unpack with: tar -xf {target} -C runs"
    )
    invocation.emit({"run": name, "file": str(target), "sha256": digest, "removed": remove}, text)


@click.command("gc")
@common_options
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@click.option("--older-than", type=click.FloatRange(0), default=30.0, show_default=True, help="Days of rest.")
def gc(invocation: Invocation, dry_run: bool, older_than: float) -> None:
    """Remove runs that were moved aside and runs that never took a step."""
    from codex_ml.cli.store import human_size
    from codex_ml.provenance.keeping import removable, remove_run, still_removable
    from codex_ml.provenance.run_directory import RunDirectory

    if older_than != older_than:
        raise click.UsageError("--older-than is no number of days")
    found = removable(invocation.home, older_than=older_than)
    for row in list(found) if not dry_run else ():
        directory = RunDirectory(invocation.home.runs / row.run)
        with directory.locked():
            if still_removable(invocation.home, row.run, older_than=older_than):
                remove_run(directory)
            else:
                found.remove(row)
    freed = sum(row.size for row in found)
    lines = [f"{row.run}  {row.reason}, {row.age:.1f} days old, {human_size(row.size)}" for row in found]
    verb = "would free" if dry_run else "freed"
    record = {"removed": [row.as_dict() for row in found], "bytes": freed, "dry_run": dry_run}
    invocation.emit(record, "\n".join([*lines, f"{verb} {human_size(freed)} in {len(found)} runs"]))
