"""`codex-ml errors ls|show|resolve|export`: the failures that were captured, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options

if TYPE_CHECKING:
    from codex_ml.digest.store import Entry, ErrorStore

_STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="The file of the store (default: .codex/errors.ndjson of the workspace).",
)


@click.group("errors")
def command() -> None:
    """The error store, .codex/errors.ndjson."""


def _opened(path: Path | None) -> ErrorStore:
    from codex_ml.digest.capture import default_store
    from codex_ml.digest.store import ErrorStore

    return ErrorStore(path) if path is not None else default_store()


@command.command("ls")
@common_options
@_STORE
@click.option("--open", "which", flag_value="Open", help="Only those that nobody resolved.")
@click.option("--resolved", "which", flag_value="Resolved", help="Only those that were resolved.")
def ls(invocation: Invocation, store: Path | None, which: str | None) -> None:
    """List the errors, each once, with how often it was seen."""
    opened = _opened(store)
    entries = [entry for entry in opened.entries() if which in (None, entry.status)]
    damaged = opened.unreadable()
    lines = [f"{'id':<10}{'status':<10}{'times':>6}  {'last seen':<18}error"]
    for entry in entries:
        first = (entry.error.strip().splitlines() or [""])[-1][:80]
        name, seen = entry.fingerprint[:8], entry.ts or "-"
        lines.append(f"{name:<10}{entry.status:<10}{entry.occurrences:>6}  {seen:<18}{first}")
    lines.append(f"{len(entries)} errors in {opened.path}")
    lines += [f"not read: {line}" for line in damaged]
    record = {
        "errors": [entry.record() for entry in entries],
        "unreadable": damaged,
        "store": str(opened.path),
    }
    invocation.emit(record, "\n".join(lines))


@command.command("show")
@common_options
@_STORE
@click.argument("name", metavar="ID")
def show(invocation: Invocation, store: Path | None, name: str) -> None:
    """Show one error as a block. ID: the first characters of its fingerprint."""
    from codex_ml.digest.blocks import render_record

    entry = _opened(store).find(name)
    invocation.emit({"entry": entry.record()}, _shown(render_record(entry.record()), entry))


def _shown(text: str, entry: Entry) -> str:
    return text if entry.detail is None else f"{text}\n\n{entry.detail.rstrip()}"


@command.command("resolve")
@common_options
@_STORE
@click.argument("name", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="What resolved it.")
def resolve(invocation: Invocation, store: Path | None, name: str, reason: str) -> None:
    """Note that an error is resolved. Seen again, it is open again."""
    from codex_ml.digest.capture import now

    entry = _opened(store).resolve(name, reason=reason, ts=now())
    invocation.emit({"entry": entry.record()}, f"{entry.fingerprint[:8]} is resolved: {entry.resolution}")


@command.command("export")
@common_options
@_STORE
@click.option(
    "--format", "form", type=click.Choice(["md", "json", "ndjson"]), default="md", show_default=True
)
@click.option("--out", type=click.Path(path_type=Path), help="Write it to this file.")
def export(invocation: Invocation, store: Path | None, form: str, out: Path | None) -> None:
    """Write all errors as Markdown, JSON or NDJSON, to stdout or a file."""
    from codex_ml.core.publish import write_file

    records = [entry.record() for entry in _opened(store).entries()]
    text = _formatted(records, form)
    if out is not None:
        write_file(out, text)
    record = {"errors": records, "format": form, "out": None if out is None else str(out)}
    invocation.emit(record, text.rstrip("\n") if out is None else f"{len(records)} errors written to {out}")


def _formatted(records: list[dict[str, Any]], form: str) -> str:
    import json

    from codex_ml.digest.render import render_list

    if form == "md":
        return render_list(records)
    if form == "json":
        return json.dumps({"errors": records}, indent=1, ensure_ascii=False) + "\n"
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
