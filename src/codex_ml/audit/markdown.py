"""The report as Markdown: eight sections, rendered from the JSON alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from codex_ml.audit.capture import CAPTURE
from codex_ml.audit.model import COLUMNS
from codex_ml.core.markdown import code_span, escaped, fenced, one_line

Report = Mapping[str, Any]
_BAR = re.compile(r"(?<!\\)\|")
_ROW = "| {} | {} | {} | {} | {} | {} | {} |"


def render_markdown(report: Report) -> str:
    """The report of `report_of` as one Markdown text that ends with a newline."""
    parts = [
        [f"# {text(report['metadata']['title'])}"],
        *(
            list(section(report))
            for section in (_map, _table, _findings, _diffs, _gates, _checklist, _deferred, _errors)
        ),
    ]
    if report["delta"]:
        parts.append(list(_delta(report["delta"])))
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def text(value: object) -> str:
    """One line of Markdown that shows *value* as it is, whatever it holds."""
    return escaped(one_line(str(value)))


def code(value: object) -> str:
    """*value* as a code span."""
    return code_span(str(value))


def _cell(values: Sequence[str] | str, *, empty: str = "none") -> str:
    """A cell of a table: a bar would end it, if no sign stood before it."""
    joined = values if isinstance(values, str) else "; ".join(values)
    return _BAR.sub(r"\\|", joined or empty)


def _map(report: Report) -> Iterator[str]:
    found = report["snapshot"]["repo_map"]
    yield "## 1. Repo Map"
    yield f"- Key directories: {', '.join(code(one['path']) for one in found['directories']) or 'none'}."
    yield f"- Key files: {', '.join(code(name) for name in found['key_files']) or 'none'}."
    yield (
        f"- {found['python_files']} Python files, {found['tests']} tests, {found['configs']} configs, "
        f"{len(found['notebooks'])} notebooks."
    )
    yield "- Stubs & placeholders observed via repository scan:" + ("" if found["stubs"] else " none.")
    for one in found["stubs"]:
        yield f"  - {code(_where(one))}: {text(one['what'])}"
    if found["stubs_total"] > len(found["stubs"]):
        yield f"  - and {found['stubs_total'] - len(found['stubs'])} more"
    yield "- Recent additions:" + ("" if found["recent"] else " no commit.")
    for subject in found["recent"]:
        yield f"  - {text(subject)}"
    unread = report["snapshot"]["audit_integrity"]["unread"]
    if unread:
        yield "- Not read, and why:"
        for one in unread:
            yield f"  - {code(one['path'])}: {text(one['reason'])}"


def _table(report: Report) -> Iterator[str]:
    yield "## 2. Capability Audit Table"
    yield _ROW.format(*COLUMNS)
    yield _ROW.format(*["---"] * 7)
    for row in report["snapshot"]["capabilities"]:
        yield _ROW.format(
            _cell(text(row["name"])),
            row["status"],
            _cell([code(one) for one in row["artifacts"]]),
            _cell([text(one) for one in row["gaps"]]),
            _cell([text(one) for one in row["risks"]]),
            _cell([text(one) for one in row["patch_plan"]]),
            _cell(text(row["rollback"])),
        )
    yield ""
    yield "What decided each row (confidence 1 to 5):"
    yield ""
    for row in report["snapshot"]["capabilities"]:
        yield f"- **{text(row['name'])}** ({row['confidence']}): {text(row['decided_by'])}."


def _findings(report: Report) -> Iterator[str]:
    yield "## 3. High-Signal Findings"
    found = report["snapshot"]["findings"]
    for one in found[:20]:
        head = f"**{text(one['title'])}** ({one['severity_name']}, rule {code(one['rule'])})"
        yield f"- {head}: {text(one['proposed_action'])}."
        for place in one["evidence"][:4]:
            yield f"  - {code(_where(place))}: {text(place['note'])}"
        if one["count"] > 4:
            yield f"  - and {one['count'] - 4} more"
    if not found:
        yield "- No rule found anything."
    for one in report["snapshot"]["audit_integrity"]["suppressed"]:
        place = f"{code(one['where'])} (rule {code(one['rule'])})"
        yield f"- Set aside in the code: {place}: {text(one['reason'])}"


def _diffs(report: Report) -> Iterator[str]:
    yield "## 4. Atomic Diffs"
    withheld = report["security"]["patches_withheld"]
    if not report["patches"] and not withheld:
        yield "No patch can be made from what was found."
    for one in withheld:
        said = f"Not shown, for a secret stands in its lines: {text(one['title'])}"
        yield f"- {said}; `--apply {one['id']}` applies it."
    for number, one in enumerate(report["patches"], start=1):
        yield ""
        yield f"### 4.{number} {text(one['title'])}"
        yield f"Apply it with `--apply {one['id']}`."
        yield ""
        yield from _fenced(one["diff"], "diff")
        yield f"- *Why*: {text(one['why'])}"
        yield f"- *Risk*: {text(one['risk'])}"
        yield f"- *Rollback*: {text(one['rollback'])}"
        yield f"- *Tests/docs*: {text(one['validation'])}"


def _gates(report: Report) -> Iterator[str]:
    gates = report["snapshot"]["tests_gates"]
    yield "## 5. Local Tests & Gates"
    if not gates["run"]:
        known = f" Known here: {', '.join(code(one) for one in gates['known'])}." if gates["known"] else ""
        written = gates["tests_summary"]["total"]
        yield f"Nothing was run (`--run-tests` runs the gates); {written} tests are written.{known}"
        return
    yield "| Command | Purpose | Example Output | ML Test Score Coverage |"
    yield "| --- | --- | --- | --- |"
    for one in gates["commands"]:
        said = f"{one['outcome']} in {one['seconds']} s: {one['output_last']}"
        cells = (
            _cell(code(one["command"])),
            _cell(text(one["purpose"])),
            _cell(text(said)),
            text(one["covers"]),
        )
        yield f"| {' | '.join(cells)} |"


def _checklist(report: Report) -> Iterator[str]:
    yield "## 6. Reproducibility Checklist"
    rows = report["snapshot"]["repro"]["registry"]
    for one in rows:
        box = "x" if one["status"] == "ticked" else " "
        there = ", ".join(code(place) for place in one["evidence"]) or "nothing is there"
        needed = f"; needed: {text('; '.join(one['needed']))}" if one["needed"] else ""
        yield f"- [{box}] **{text(one['control'])}** – {there}{needed}."
    yield ""
    yield "| Checklist Item | Existing Artifacts / Practices | Needed for Parity | Research Prompt |"
    yield "| --- | --- | --- | --- |"
    for one in rows:
        there = _cell([code(place) for place in one["evidence"]])
        needed = _cell(text("; ".join(one["needed"])), empty="")
        yield f"| {text(one['control'])} | {there} | {needed} | {_cell(text(one['prompt']))} |"
    yield ""
    yield "### Research Questions for @codex"
    for one in report["questions"]:
        yield f"- {text(one['category'])}: *{text(one['question'])}*"
    if not report["questions"]:
        yield "- None: no box is open."
    yield ""
    yield from CAPTURE.split("\n")


def _deferred(report: Report) -> Iterator[str]:
    yield "## 7. Deferred Items"
    rows = report["snapshot"]["deferred"]
    for one in rows:
        why, plan = text(f"{one['rationale']}; {one['risk']}"), text("; ".join(one["plan"]))
        yield f"- {text(one['item'])}: deferred ({why}). Minimal plan: {plan}."
    if not rows:
        yield "- None."


def _errors(report: Report) -> Iterator[str]:
    yield "## 8. Error Capture Blocks"
    blocks = list(report["snapshot"]["tests_gates"].get("error_blocks", []))
    for block in blocks:
        yield from _fenced(block, "")
        yield ""
    for one in report["snapshot"]["errors"]:
        lines = [f"Historical log excerpt ({one['source']}):", one["error"], f"Context: {one['context']}"]
        yield from _fenced("\n".join([*lines, f"Status: {one['status']}"]), "")
        yield ""
    if not blocks and not report["snapshot"]["errors"]:
        yield "No error was captured, and none is recorded in `.codex/errors.ndjson` or `errors_codex.log`."


def _delta(delta: Mapping[str, Any]) -> Iterator[str]:
    yield "## Delta to the last report"
    for name, title in (("code_changes", "Capabilities"), ("findings_new", "New"), ("findings_gone", "Gone")):
        for one in delta[name]:
            yield f"- {title}: {text(one)}"
    if not any(delta[name] for name in ("code_changes", "findings_new", "findings_gone")):
        yield "- Nothing changed."


def _fenced(body: str, language: str) -> Iterator[str]:
    yield fenced(body.rstrip("\n"), language)


def _where(place: Mapping[str, Any]) -> str:
    at = f"{place['path']}:{place['line']}" if place["line"] else place["path"]
    return f"{at} ({place['symbol']})" if place.get("symbol") else at
