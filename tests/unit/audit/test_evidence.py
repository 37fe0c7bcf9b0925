"""Every piece of evidence decides: with all of it a row is Implemented, without any one of them it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_repos import commit, write
from audit_whole import WHOLE, WITHOUT
from codex_ml.audit.audit import Audit, audit
from codex_ml.audit.capabilities import CAPABILITIES
from codex_ml.audit.model import IMPLEMENTED, MISSING, PARTIAL

pytestmark = pytest.mark.needs("audit")
#: Needs that nothing alone takes away: what shows them shows more.
TOGETHER = {
    *(("modeling", "load"), ("modeling", "tested"), ("configuration", "use"), ("configuration", "kept")),
    *(("monitoring", "use"), ("monitoring", "scalars"), ("monitoring", "tested"), ("checkpointing", "load")),
    *(("checkpointing", "wired"), ("data", "use"), ("data", "tested"), ("ci", "begun"), ("ci", "tests")),
    *(("ci", "optional packages"), ("documentation", "notebooks"), ("cli", "use"), ("extensibility", "use")),
    ("extensibility", "conflicts"),
}


def judged(root: Path) -> Audit:
    return audit(root, workers=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return judged(commit(write(tmp_path_factory.mktemp("whole") / "small", dict(WHOLE))))


def test_with_all_the_evidence_every_row_is_implemented(whole: Audit) -> None:
    lacking = {row.capability.id: [need.id for need in row.missing] for row in whole.rows if row.missing}
    assert lacking == {}
    assert {row.status for row in whole.rows} == {IMPLEMENTED}
    assert [one.rule for one in whole.findings] == []


def test_the_table_names_every_need() -> None:
    needs = {(one.id, need.id) for one in CAPABILITIES for need in one.needs}
    assert set(WITHOUT) | TOGETHER == needs
    assert not set(WITHOUT) & TOGETHER


@pytest.mark.parametrize(("capability", "need"), sorted(WITHOUT))
def test_without_it_the_row_is_not_implemented_and_names_it(
    tmp_path: Path, capability: str, need: str
) -> None:
    path, old, new = WITHOUT[capability, need]
    before = WHOLE[path]
    assert isinstance(before, str) and old in before
    root = commit(write(tmp_path / "small", {**WHOLE, path: before.replace(old, new)}))
    row = next(row for row in judged(root).rows if row.capability.id == capability)
    first = row.capability.needs[0].id
    assert need in [one.id for one in row.missing]
    assert row.status == (MISSING if need == first else PARTIAL)
    if need != first:
        # Where it is what tests have to reach, none does.
        others = ["tested"] if need == row.capability.tests_reach else []
        assert [one.id for one in row.missing] == [need, *others]
