"""`codex-ml store ls|gc`: prepared tokenizers and datasets, and the space they take."""

from __future__ import annotations

import re

import click

from codex_ml.cli.common import Invocation, common_options

_DIGEST = re.compile(r"[0-9a-f]{64}")


@click.group("store")
def command() -> None:
    """The store of prepared corpora, tokenizers and datasets."""


@command.command("ls")
@common_options
def ls(invocation: Invocation) -> None:
    """List the entries with their sizes and the runs that use them."""
    from codex_ml.provenance.store_index import store_entries

    entries = store_entries(invocation.home)
    wide = max([16, *(len(short_name(entry.digest)) for entry in entries)]) + 2
    lines = [f"{'kind':<12}{'digest':<{wide}}{'size':>12}  used by"]
    for entry in entries:
        used = ", ".join(entry.used_by) or _leftover(entry.digest) or "no run"
        name = short_name(entry.digest)
        lines.append(f"{entry.kind:<12}{name:<{wide}}{human_size(entry.size):>12}  {used}")
    total = sum(entry.size for entry in entries)
    lines.append(f"{'total':<{12 + wide}}{human_size(total):>12}  in {invocation.home.store}")
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
    lines = [f"{entry.kind}/{short_name(entry.digest)}  {human_size(entry.size)}" for entry in removed]
    record = {"removed": [entry.as_dict() for entry in removed], "bytes": freed, "dry_run": dry_run}
    invocation.emit(record, "\n".join([*lines, f"{verb} {human_size(freed)} in {len(removed)} entries"]))


def short_name(name: str) -> str:
    """The name of a store directory with its digest cut, and all that tells it from others kept.

    ``<digest>`` -> its first 16 digits, ``<digest>.damaged-1f`` -> ``<12 digits>….damaged-1f``.
    """
    return name[:16] if _DIGEST.fullmatch(name) else _DIGEST.sub(lambda found: f"{found[0][:12]}…", name)


def _leftover(name: str) -> str | None:
    """What a directory is that no run can use."""
    if ".damaged-" in name:
        return "damaged, set aside"
    return "unfinished build" if name.startswith(".tmp-") else None


def human_size(size: float) -> str:
    """``1536`` -> ``1.5 KB`` (powers of 1000)."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
