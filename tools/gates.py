"""Record what each gate did in artifacts/gates.json, and print it as a table."""

from __future__ import annotations

import ast
import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

_SUMMARY = "gates.json"


@contextmanager
def recorded(name: str, artifacts: Path) -> Iterator[None]:
    """Time the block and add its outcome, with the counts of its JUnit file, to the summary."""
    artifacts.mkdir(exist_ok=True)
    junit = artifacts / f"{name}.xml"
    junit.unlink(missing_ok=True)
    start = time.monotonic()
    ok = False
    try:
        yield
        ok = True
    finally:
        entry = {"ok": ok, "seconds": round(time.monotonic() - start, 1), **_counts(junit, ok=ok)}
        path = artifacts / _SUMMARY
        summary = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.write_text(json.dumps({**summary, name: entry}, indent=1) + "\n", encoding="utf-8")


def _counts(junit: Path, *, ok: bool) -> dict[str, Any]:
    """Passed, failed and skipped with reasons; a gate without JUnit counts as one check."""
    if not junit.exists():
        return {"passed": int(ok), "failed": int(not ok), "skipped": []}
    cases = list(ET.parse(junit).getroot().iter("testcase"))  # noqa: S314 - our own file
    failed = [
        _name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = [
        {"test": _name(case), "reason": _reason(element)}
        for case in cases
        if (element := case.find("skipped")) is not None
    ]
    passed = len(cases) - len(failed) - len(skipped)
    if not ok and not failed:
        failed = ["the gate itself: coverage below its floor, or a run that did not end (see its output)"]
    return {"passed": passed, "failed": len(failed), "failures": failed, "skipped": skipped}


def _name(case: ET.Element) -> str:
    return f"{case.get('classname', '')}::{case.get('name', '')}"


def _reason(skipped: ET.Element) -> str:
    """Why a test was skipped; for a whole module pytest writes it into the text."""
    message = skipped.get("message") or ""
    if message != "collection skipped":
        return message.strip()
    _file, _line, text = ast.literal_eval((skipped.text or "").strip())
    return str(text).removeprefix("Skipped: ")


def copy_tests(checkout: Path, room: Path) -> None:
    """Copy what tests need outside the checkout; the sources stay behind."""
    for name in ("tests", "tools"):
        shutil.copytree(
            checkout / name, room / name, ignore=shutil.ignore_patterns("__pycache__", "architecture")
        )
    shutil.copy(checkout / "pyproject.toml", room)


def main() -> int:
    """Print the table; the last line has the counts of the test suite."""
    path = Path("artifacts") / _SUMMARY
    if not path.exists():
        print("no gate has run: make test", file=sys.stderr)
        return 1
    summary = json.loads(path.read_text(encoding="utf-8"))
    for name, entry in summary.items():
        state = "ok" if entry["ok"] else "FAILED"
        counts = f"{entry['passed']} passed, {entry['failed']} failed, {len(entry['skipped'])} skipped"
        print(f"{name:8} {state:7} {entry['seconds']:7.1f} s  {counts}")
    last = summary.get("tests", {"passed": 0, "failed": 0, "skipped": []})
    print(f"{last['passed']} passed, {last['failed']} failed, {len(last['skipped'])} skipped")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
