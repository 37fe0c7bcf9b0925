"""`codex-ml store ls|gc`: prepared tokenizers and datasets, and the space they take."""

from __future__ import annotations

import click

from codex_ml.cli.common import Invocation, common_options


@click.group("store")
def command() -> None:
    """The store of prepared corpora, tokenizers and datasets."""


@command.command("ls")
@common_options
def ls(invocation: Invocation) -> None:
    """List the entries with their sizes and the runs that use them."""
    from codex_ml.provenance.store_index import store_entries

    entries = store_entries(invocation.home)
    lines = [f"{'kind':<12}{'digest':<18}{'size':>12}  used by"]
    for entry in entries:
        used = ", ".join(entry.used_by) or "no run"
        lines.append(f"{entry.kind:<12}{entry.digest[:16]:<18}{human_size(entry.size):>12}  {used}")
    total = sum(entry.size for entry in entries)
    lines.append(f"{'total':<30}{human_size(total):>12}  in {invocation.home.store}")
    invocation.emit({"entries": [entry.as_dict() for entry in entries], "bytes": total}, "\n".join(lines))


@command.command("gc")
@common_options
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
def gc(invocation: Invocation, dry_run: bool) -> None:
    """Remove the entries that no run uses, damaged ones and leftovers of killed builds."""
    from codex_ml.provenance.store_index import collect_garbage

    removed = collect_garbage(invocation.home, dry_run=dry_run)
    freed = sum(entry.size for entry in removed)
    verb = "would free" if dry_run else "freed"
    lines = [f"{entry.kind}/{entry.digest[:16]}  {human_size(entry.size)}" for entry in removed]
    record = {"removed": [entry.as_dict() for entry in removed], "bytes": freed, "dry_run": dry_run}
    invocation.emit(record, "\n".join([*lines, f"{verb} {human_size(freed)} in {len(removed)} entries"]))


def human_size(size: float) -> str:
    """``1536`` -> ``1.5 KB`` (powers of 1000)."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
