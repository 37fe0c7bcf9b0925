"""The report as one self-contained page, rendered from the JSON alone. No script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from codex_ml.audit.capture import CAPTURE
from codex_ml.audit.model import COLUMNS

Report = Mapping[str, Any]

_TONES = {"Implemented": "good", "Partially Implemented": "mid", "Stubbed": "bad", "Missing": "bad"}
_SEVERE = {"info": "none", "low": "none", "medium": "mid", "high": "bad", "critical": "bad"}


def render_html(report: Report) -> str:
    """The whole page; every text of the audited repository is escaped."""
    meta = report["metadata"]
    git = meta["git_context"]
    under = f"commit {git['commit_sha_short']} on {git['branch']}" if git else "no commit"
    body = [
        f"<h1>{escape(meta['title'])}</h1>",
        f'<p class="sub">{escape(under)} · {escape(meta["generator"])}</p>',
        *_summary(report),
        *_map(report),
        *_capabilities(report),
        *_findings(report),
        *_patches(report),
        *_gates(report),
        *_checklist(report),
        *_rest(report),
    ]
    style = resources.files("codex_ml.audit").joinpath("report.css").read_text(encoding="utf-8")
    head = f'<meta charset="utf-8"><title>{escape(meta["title"])}</title>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return f'<!doctype html>\n<html lang="en"><head>{head}{view}<style>{style}</style></head>\n<body>\n' + (
        "\n".join(body) + "\n</body></html>\n"
    )


def _list(items: Sequence[str], *, as_code: bool = False) -> str:
    if not items:
        return '<span class="none">none</span>'
    shown = [f"<code>{escape(item)}</code>" if as_code else escape(item) for item in items]
    return f"<ul>{''.join(f'<li>{item}</li>' for item in shown)}</ul>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    yield f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>'
    for row in rows:
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
    yield "</tbody></table></div>"


def _summary(report: Report) -> Iterator[str]:
    rows = report["snapshot"]["capabilities"]
    counts = {status: sum(row["status"] == status for row in rows) for status in _TONES}
    parts = [
        f'<span class="bg-{_TONES[name]}" style="flex:{count}"></span>'
        for name, count in counts.items()
        if count
    ]
    said = ", ".join(f"{count} {name.lower()}" for name, count in counts.items() if count)
    yield f"<p>{escape(f'{len(rows)} capabilities: {said}.')}</p>"
    yield f'<div class="bar" role="img" aria-label="{escape(said)}">{"".join(parts)}</div>'


def _map(report: Report) -> Iterator[str]:
    found = report["snapshot"]["repo_map"]
    yield "<h2>1. Repo Map</h2>"
    folders = [f"{one['path']} ({one['files']})" for one in found["directories"]]
    stubs = [f"{one['path']}:{one['line']}: {one['what']}" for one in found["stubs"]]
    unread = [f"{one['path']}: {one['reason']}" for one in report["snapshot"]["audit_integrity"]["unread"]]
    rows = [
        ("Key directories", _list(folders, as_code=True)),
        ("Key files", _list(found["key_files"], as_code=True)),
        ("Stubs and placeholders", _list(stubs)),
        ("Recent additions", _list(found["recent"])),
        ("Not read, and why", _list(unread)),
    ]
    yield from _table(("What", "Found"), rows)


def _capabilities(report: Report) -> Iterator[str]:
    yield "<h2>2. Capability Audit Table</h2>"
    rows = []
    for row in report["snapshot"]["capabilities"]:
        status = f'<span class="status {_TONES[row["status"]]}">{escape(row["status"])}</span>'
        more = f"confidence {row['confidence']} of 5; {row['decided_by']}"
        cells = [_list(row[name]) for name in ("gaps", "risks", "patch_plan")]
        details = f"<details><summary>{status}</summary>{escape(more)}</details>"
        name = f"<strong>{escape(row['name'])}</strong>"
        rows.append((name, details, _list(row["artifacts"], as_code=True), *cells, escape(row["rollback"])))
    yield from _table(COLUMNS, rows)


def _findings(report: Report) -> Iterator[str]:
    yield "<h2>3. High-Signal Findings</h2>"
    for one in report["snapshot"]["findings"]:
        tag = f'<span class="tag {_SEVERE[one["severity_name"]]}">{one["severity_name"]}</span>'
        places = [f"{place['path']}:{place['line']}: {place['note']}" for place in one["evidence"]]
        yield f"<details><summary>{tag} {escape(one['title'])}</summary>"
        said = escape(f"{one['impact']} Next: {one['proposed_action']}.")
        yield f"<p>{said}</p>{_list(places)}</details>"
    if not report["snapshot"]["findings"]:
        yield "<p>No rule found anything.</p>"
    rows = report["snapshot"]["audit_integrity"]["suppressed"]
    aside = [f"{one['where']} ({one['rule']}): {one['reason']}" for one in rows]
    if aside:
        yield f"<p>Set aside in the code:</p>{_list(aside)}"


def _patches(report: Report) -> Iterator[str]:
    yield "<h2>4. Atomic Diffs</h2>"
    for number, one in enumerate(report["patches"], start=1):
        title = f"4.{number} {escape(one['title'])}"
        yield f"<details><summary>{title}</summary><pre>{escape(one['diff'])}</pre><ul>"
        for name, key in (
            ("Why", "why"),
            ("Risk", "risk"),
            ("Rollback", "rollback"),
            ("Tests/docs", "validation"),
        ):
            yield f"<li><em>{name}</em>: {escape(one[key])}</li>"
        yield "</ul></details>"
    withheld = report["security"]["patches_withheld"]
    for one in withheld:
        said = f"Not shown, for a secret stands in its lines: {one['title']}; --apply {one['id']} applies it."
        yield f"<p>{escape(said)}</p>"
    if not report["patches"] and not withheld:
        yield "<p>No patch can be made from what was found.</p>"


def _gates(report: Report) -> Iterator[str]:
    gates = report["snapshot"]["tests_gates"]
    yield "<h2>5. Local Tests &amp; Gates</h2>"
    if not gates["run"]:
        yield f"<p>Nothing was run; {gates['tests_summary']['total']} tests are written.</p>"
        return
    rows = [
        (
            f"<code>{escape(one['command'])}</code>",
            escape(one["outcome"]),
            f"{one['seconds']} s",
            escape(one["output_last"]),
        )
        for one in gates["commands"]
    ]
    yield from _table(("Command", "Outcome", "Time", "Last line"), rows)


def _checklist(report: Report) -> Iterator[str]:
    yield "<h2>6. Reproducibility Checklist</h2>"
    rows = []
    for one in report["snapshot"]["repro"]["registry"]:
        ticked = one["status"] == "ticked"
        box = f'<span class="{"good" if ticked else "mid"}">{"☑" if ticked else "☐"}</span>'
        there = _list(one["evidence"], as_code=True)
        rows.append(
            (
                f"{box} <strong>{escape(one['control'])}</strong>",
                there,
                _list(one["needed"]),
                escape(one["prompt"]),
            )
        )
    yield from _table(("Item", "Existing", "Needed for parity", "Research prompt"), rows)
    asked = [f"{one['category']}: {one['question']}" for one in report["questions"]]
    yield f"<h3>Research questions</h3>{_list(asked)}"
    yield f"<details><summary>6.1 Environment capture</summary><pre>{escape(CAPTURE)}</pre></details>"


def _rest(report: Report) -> Iterator[str]:
    yield "<h2>7. Deferred Items</h2>"
    yield _list(
        [
            f"{one['item']} ({one['rationale']}): {'; '.join(one['plan'])}"
            for one in report["snapshot"]["deferred"]
        ]
    )
    yield "<h2>8. Error Capture Blocks</h2>"
    blocks = list(report["snapshot"]["tests_gates"].get("error_blocks", []))
    blocks += [
        f"{one['source']}: {one['error']}\nContext: {one['context']}\nStatus: {one['status']}"
        for one in report["snapshot"]["errors"]
    ]
    yield "".join(f"<pre>{escape(block)}</pre>" for block in blocks) or "<p>None.</p>"
    if report["delta"]:
        changes = [
            *report["delta"]["code_changes"],
            *(f"new: {key}" for key in report["delta"]["findings_new"]),
        ]
        changes += [f"gone: {key}" for key in report["delta"]["findings_gone"]]
        yield f"<h2>Delta to the last report</h2>{_list(changes)}"
