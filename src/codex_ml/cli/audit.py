"""`codex-ml audit PATH`: what a repository really has, from evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options

if TYPE_CHECKING:
    from codex_ml.audit.audit import Audit
    from codex_ml.audit.gates import Outcome

#: The report has room for so many; those of the worst findings come first.
_PATCHES = 10
_LAST = 12  # lines of a gate's output, where these are all that there is to show
_SEVERITIES = ("info", "low", "medium", "high", "critical")


class _AuditGroup(click.Group):
    """``audit PATH`` is ``audit run PATH``; ``rules`` and ``schema`` are commands of their own."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options before the path belong to ``run``."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("audit", cls=_AuditGroup)
def command() -> None:
    """An evidence-based status report of any ML repository: codex-ml audit PATH.

    The audited code is read and never run, unless --run-tests asks for it. See audit run --help for options.
    """


@command.command("run")
@common_options
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "json", "html", "sarif"]),
    default="md",
    show_default=True,
    help="What goes to stdout.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the report as .md and .json (and FORMAT) here."
)
@click.option("--run-tests", is_flag=True, help="Run the repository's gates: this executes its code.")
@click.option(
    "--command", "commands", multiple=True, metavar="CMD", help="With --run-tests: run this instead."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=1800.0,
    show_default=True,
    help="Seconds a gate may take.",
)
@click.option(
    "--since",
    type=click.Path(path_type=Path),
    metavar="REPORT",
    help="An earlier JSON report: say what changed.",
)
@click.option("--fail-on", type=click.Choice(_SEVERITIES), help="Exit with 3 when a finding is as severe.")
@click.option(
    "--gone",
    multiple=True,
    metavar="NAME",
    help="Exit with 3 while this is there: a rule, RULE:PATH, the key of a finding, the id of a patch.",
)
@click.option(
    "--require",
    multiple=True,
    metavar="ROW[=STATUS]",
    help="Exit with 3 while this row of the table is of a lesser status (default: Implemented).",
)
@click.option("--date", metavar="YYYY-MM-DD", help="The report's day where there is no commit.")
@click.option(
    "--apply", "patch", metavar="PATCH", help="Apply a patch of section 4, by its number or its id."
)
def run(
    invocation: Invocation, path: Path, form: str, out: Path | None, patch: str | None, **asked: Any
) -> int:
    """Audit the repository at PATH and write its status report."""
    from codex_ml.audit.acceptance import unmet
    from codex_ml.audit.audit import audit
    from codex_ml.audit.delta import delta, load_report
    from codex_ml.audit.patching import apply_patch, find_patch, make_patches
    from codex_ml.audit.report import report_of

    if asked["commands"] and not asked["run_tests"]:
        raise click.UsageError("--command says what --run-tests runs, which is not given")
    before = load_report(asked["since"]) if asked["since"] else None
    found = audit(path)
    if patch is not None:
        applied = apply_patch(found, patch)
        changed = ", ".join(applied.paths)
        invocation.emit(
            {"applied": applied.id, "title": applied.title, "paths": applied.paths},
            f"applied {applied.id}: {changed}",
        )
        return 0
    gates = _gates(found, asked["commands"], asked["timeout"]) if asked["run_tests"] else None
    made = [one.as_dict() for one in islice(make_patches(found), _PATCHES)]
    report = report_of(found, date=asked["date"], patches=made, gates=gates)
    if before is not None:
        report["delta"] = delta(before, report)
        report["metadata"]["previous_report_path"] = asked["since"].name
    offered = [name for name in asked["gone"] if not name.isdecimal() and find_patch(found, name) is not None]
    missed = unmet(report, offered, gone=asked["gone"], require=asked["require"])
    files = _write(out, found, report, form) if out is not None else []
    if invocation.as_json:
        invocation.emit({**_summary(report, files), "unmet": missed})
    elif out is not None:
        click.echo("\n".join(str(file) for file in files))
    else:
        click.echo(_rendered(found, report, form), nl=False)
    for line in missed:
        click.echo(f"not yet: {line}", err=True)
    return 3 if missed or _fails(asked["fail_on"], report) else 0


@command.command("rules")
@common_options
def rules(invocation: Invocation) -> None:
    """What the auditor looks for, built in and from plugins."""
    from codex_ml.audit.rule import all_rules, broken_rules

    found = all_rules()
    broken = broken_rules()
    rows = [{"id": one.id, "severity": one.severity, "title": one.title, "why": one.why} for one in found]
    width = max(len(one.id) for one in found)
    lines = [f"{one.id:{width}}  {one.severity:8}  {one.title}: {one.why}" for one in found]
    lines.append("")
    lines.append("Set one aside in code, with a reason: # codex-audit: ignore[RULE] why")
    lines += [f"left out: {name}: {why}" for name, why in broken.items()]
    invocation.emit({"rules": rows, "broken": dict(broken)}, "\n".join(lines))


@command.command("schema")
@common_options
def schema(invocation: Invocation) -> None:
    """The JSON Schema of the report."""
    from codex_ml.audit.report import report_schema

    found = report_schema()
    invocation.emit(found, json.dumps(found, indent=2))


def _gates(found: Audit, commands: tuple[str, ...], seconds: float) -> dict[str, Any]:
    """Run what the repository has; failures become error-capture blocks."""
    from codex_ml.audit.gates import gates_report, given_gates, known_gates, run_gates
    from codex_ml.audit.report import report_date

    gates = given_gates(commands) if commands else known_gates(found.index)
    outcomes = list(run_gates(found.tree.root, gates, seconds=seconds))
    stamp = report_date(found, "1970-01-01")
    blocks = [_error_block(found, one, stamp) for one in outcomes if one.outcome in ("failed", "timed out")]
    return gates_report(outcomes, blocks, sum(1 for _ in found.index.tests()))


def _error_block(found: Audit, ended: Outcome, stamp: str) -> str:
    """What failed first in the output of a gate, else its last lines: a time limit says nothing itself."""
    import io

    from codex_ml.digest.analyse import digest_log
    from codex_ml.digest.blocks import context_of, error_of, make_error_block
    from codex_ml.digest.failures import Rank

    error = "\n".join(ended.output.splitlines()[-_LAST:])
    context = f"exit code {ended.code}, {ended.outcome}"
    if ended.outcome == "failed":
        # Paths as the report has them: it says the same wherever the repository lies.
        output = ended.output.replace(f"{found.tree.root.resolve()}/", "")
        first = digest_log(io.BytesIO(output.encode())).failure
        if first is not None and first.rank > Rank.SUMMARY:
            error, context = error_of(first), f"{context}; {context_of(first)}"
    return make_error_block(ended.gate.line(), error, context, ts=stamp)


def _rendered(found: Audit, report: Mapping[str, Any], form: str) -> str:
    from codex_ml.audit.html import render_html
    from codex_ml.audit.markdown import render_markdown
    from codex_ml.audit.sarif import render_sarif

    if form == "md":
        return render_markdown(report)
    if form == "html":
        return render_html(report)
    body = report if form == "json" else render_sarif(found, report)
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _write(out: Path, found: Audit, report: Mapping[str, Any], form: str) -> list[Path]:
    from codex_ml.core.publish import make_directory, write_file, writing

    stem = f"_codex_status_update-{report['metadata']['date']}"
    with writing(out):
        make_directory(out)
    files = []
    for one in dict.fromkeys(["md", "json", form]):
        target = out / f"{stem}.{one}"
        with writing(target):
            write_file(target, _rendered(found, report, one))
        files.append(target)
    return files


def _summary(report: Mapping[str, Any], files: list[Path]) -> dict[str, Any]:
    rows = report["snapshot"]["capabilities"]
    return {
        "repository": report["metadata"]["repository"],
        "date": report["metadata"]["date"],
        "statuses": {row["id"]: row["status"] for row in rows},
        "ticked": [one["id"] for one in report["snapshot"]["repro"]["registry"] if one["status"] == "ticked"],
        "findings": report["security"]["by_severity"],
        "patches": [patch["title"] for patch in report["patches"]],
        "unread": len(report["snapshot"]["audit_integrity"]["unread"]),
        "files": [str(file) for file in files],
    }


def _fails(severity: str | None, report: Mapping[str, Any]) -> bool:
    from codex_ml.audit.model import severity_rank
    from codex_ml.audit.report import worst

    found = report["snapshot"]["findings"]
    return severity is not None and bool(found) and severity_rank(worst(report)) >= severity_rank(severity)
