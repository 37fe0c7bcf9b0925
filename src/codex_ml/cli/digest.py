"""`codex-ml digest`: from a log, a list of tasks or an audit to the first failure, blocks and a plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options

if TYPE_CHECKING:
    from codex_ml.digest.document import Document
    from codex_ml.digest.execute import Executed


@click.command("digest")
@common_options
@click.argument("file", required=False, metavar="FILE|-")
@click.option(
    "--from-audit", type=click.Path(path_type=Path), metavar="REPORT", help="Plan what an audit asks for."
)
@click.option(
    "--repo", default=".", metavar="PATH", help="With --from-audit: where the audited repository is."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write .codex_digest.md and .codex_digest.plan.json here."
)
@click.option("--format", "form", type=click.Choice(["md", "json"]), default="md", show_default=True)
@click.option(
    "--kind", type=click.Choice(["log", "tasks"]), help="What the input is (default: by its content)."
)
@click.option(
    "--date", metavar="YYYY-MM-DD", help="The date of the digest (default: SOURCE_DATE_EPOCH, else none)."
)
@click.option(
    "--store", type=click.Path(path_type=Path), help="The error store (default: .codex/errors.ndjson)."
)
@click.option("--no-store", is_flag=True, help="Leave the error store alone.")
@click.option(
    "--execute",
    is_flag=True,
    help="Run the plan's commands and checks that are on the list of allowed programs.",
)
@click.option("--allow", multiple=True, metavar="WORDS", help="Allow one more program, by its first words.")
@click.option(
    "--timeout", type=click.FloatRange(0.1), default=600.0, show_default=True, help="Seconds per command."
)
def command(
    invocation: Invocation,
    file: str | None,
    from_audit: Path | None,
    out: Path | None,
    form: str,
    store: Path | None,
    no_store: bool,
    execute: bool,
    allow: tuple[str, ...],
    timeout: float,
    **options: str | None,
) -> int:
    """Say what failed first and why, and what to do in which order.

    FILE is a CI log, a traceback, an output of pytest or nox, or a Markdown list of tasks; - reads stdin.
    """
    from codex_ml.digest.render import digest_record, render_digest

    document = _document(file, from_audit, options, allow)
    roots = (Path(options["repo"] or "."),) if from_audit is not None else ()
    done = _execute(document, allow, timeout, roots) if execute else None
    plan = done.plan if done else document.plan
    record = digest_record(document.digest, plan)
    record["stored"] = [] if no_store else _store(store, document, done)
    text = render_digest(document.digest, plan)
    if out is not None:
        record["written"] = _write(out, text, plan.record())
        text = "\n".join([_headline(document), *(f"wrote {path}" for path in record["written"])])
    elif form == "json":
        text = _json(record)
    invocation.emit(record, text.rstrip("\n"))
    return 1 if done is not None and done.failed else 0


def _json(record: dict[str, Any]) -> str:
    import json

    return json.dumps(record, indent=1, ensure_ascii=False)


def _document(
    file: str | None, audit: Path | None, options: dict[str, str | None], allow: tuple[str, ...]
) -> Document:
    from codex_ml.digest.document import audit_document, checked_date, read_document
    from codex_ml.errors import UsageError

    when, kind = checked_date(options["date"]), options["kind"]
    if (file is None) == (audit is None):
        raise UsageError(
            "digest needs one input",
            code="usage",
            got="none" if file is None else "a file and --from-audit",
            next_step="codex-ml digest FILE, `digest -` for stdin, or `digest --from-audit REPORT.json`",
        )
    if audit is not None:
        return audit_document(audit, date=when, repository=options["repo"] or ".")
    if file == "-":
        return read_document(sys.stdin.buffer, name="-", kind=kind, date=when, allowed=allow)
    from codex_ml.digest.document import opened

    with opened(Path(str(file))) as stream:
        return read_document(stream, name=str(file), kind=kind, date=when, allowed=allow)


def _execute(document: Document, allow: tuple[str, ...], timeout: float, roots: tuple[Path, ...]) -> Executed:
    from codex_ml.digest.allowed import Rules
    from codex_ml.digest.execute import execute

    return execute(document.plan, Rules.with_more(allow, timeout=timeout, cwd=Path.cwd(), roots=roots))


def _store(path: Path | None, document: Document, done: Executed | None) -> list[str]:
    """Note the failures of the input, and those of the commands that were run; the fingerprints."""
    from codex_ml.digest.blocks import block_record
    from codex_ml.digest.capture import default_store, now
    from codex_ml.digest.store import ErrorStore

    store = ErrorStore(path) if path is not None else default_store()
    added = []
    for digest, date in ((document.digest, document.plan.date), (done.digest if done else None, None)):
        if digest is not None and digest.blocks:
            records = [block_record(block, ts=date or now()) for block in digest.blocks]
            added += store.add_from(digest.counted.sha256, records)
    return [entry.fingerprint for entry in added]


def _write(folder: Path, page: str, plan: dict[str, Any]) -> list[str]:
    from codex_ml.core.publish import write_file

    files = {folder / ".codex_digest.md": page, folder / ".codex_digest.plan.json": _json(plan) + "\n"}
    for path, text in files.items():
        write_file(path, text)
    return [str(path) for path in files]


def _headline(document: Document) -> str:
    """The result in one line."""
    digest = document.digest
    if digest is None:
        return f"{len(document.plan.tasks)} tasks"
    if digest.failure is None:
        return "nothing failed" if digest.kind != "empty" else "the input is empty"
    root = (digest.failure.root.text.splitlines() or [""])[0]
    return f"first failure, line {digest.failure.line}: {root}"
