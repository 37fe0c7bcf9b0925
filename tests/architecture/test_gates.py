"""The gates themselves: what they record, and that the documentation check finds a dead link."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sources import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import check_docs
import gates

JUNIT = """<testsuites><testsuite>
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="no"/></testcase>
<testcase classname="a" name="left"><skipped message="no CUDA device"/></testcase>
</testsuite></testsuites>"""


def test_a_gate_records_seconds_counts_and_the_reason_of_each_skip(tmp_path: Path) -> None:
    with gates.recorded("lint", tmp_path):
        pass
    with pytest.raises(RuntimeError), gates.recorded("tests", tmp_path):
        (tmp_path / "tests.xml").write_text(JUNIT)
        raise RuntimeError
    summary = json.loads((tmp_path / "gates.json").read_text())
    assert summary["lint"]["ok"] is True
    assert summary["tests"]["ok"] is False
    assert summary["tests"]["seconds"] >= 0
    assert (summary["tests"]["passed"], summary["tests"]["failed"]) == (1, 1)
    assert summary["tests"]["skipped"] == [{"test": "a::left", "reason": "no CUDA device"}]


def test_a_dead_link_a_dead_anchor_and_a_dead_path_are_found(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "# Top\n[a](gone.md) [b](#nowhere) [c](#top) [d](https://x.org) `src/gone.py` `src/<name>.py`\n"
    )
    found = list(check_docs.problems(page, tmp_path))
    assert [line.split(": ")[1] for line in found] == [
        "the link gone.md leads nowhere",
        "#nowhere names a heading that is not there",
        "`src/gone.py` is not in the repository",
    ]
