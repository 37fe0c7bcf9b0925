"""What a report was to show and does not: findings and patches that are to be gone, rows of a status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codex_ml.audit.model import STATUSES
from codex_ml.errors import UsageError, did_you_mean


def unmet(
    report: Mapping[str, Any], patches: Iterable[str], *, gone: Sequence[str], require: Sequence[str]
) -> list[str]:
    """One line for each expectation that *report* does not meet; *patches* are the ids of all there are.

    *gone* names a rule, the key of a finding or its beginning up to a colon (``rule:path``), or the id of a
    patch. *require* names a row, as ``tokenization`` or ``tokenization=Stubbed`` (that status or a better).
    Raises UsageError for a row or a status that does not exist.
    """
    keys = [key for row in report["snapshot"]["findings"] for key in row["keys"]]
    offered = set(patches)
    lines = []
    for name in gone:
        count = sum(key == name or key.startswith(f"{name}:") for key in keys)
        if count or name in offered:
            lines.append(f"{name} is still there" + (f", {count} times" if count > 1 else ""))
    rows = {row["id"]: row["status"] for row in report["snapshot"]["capabilities"]}
    for wanted in require:
        name, _, status = wanted.partition("=")
        status = status or STATUSES[0]
        _known("row", name, rows)
        _known("status", status, STATUSES)
        if STATUSES.index(rows[name]) > STATUSES.index(status):
            lines.append(f"{name} is {rows[name]}, not {status}")
    return lines


def _known(what: str, name: str, names: Iterable[str]) -> None:
    found = list(names)
    if name not in found:
        raise UsageError(
            f"--require: there is no {what} '{name}'",
            code="audit.require",
            wanted=", ".join(found),
            next_step=did_you_mean(name, found),
        )
