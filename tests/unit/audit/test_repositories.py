"""Ten shapes of repositories get the statuses that a person gave them; the same tree gives the same bytes."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from audit_repos import REPOS, M, commit
from codex_ml.audit.audit import Audit, audit
from codex_ml.audit.capabilities import CAPABILITIES
from codex_ml.audit.capability import judge
from codex_ml.audit.delta import delta
from codex_ml.audit.html import render_html
from codex_ml.audit.markdown import render_markdown
from codex_ml.audit.model import IMPLEMENTED, MISSING, Evidence
from codex_ml.audit.patching import make_patches
from codex_ml.audit.report import report_of, report_schema
from codex_ml.audit.sarif import render_sarif
from codex_ml.audit.wellformed import parses
from codex_ml.core.git_calls import git

pytestmark = pytest.mark.needs("audit")

NAMES = sorted(REPOS)
SECTIONS = (
    *("## 1. Repo Map", "## 2. Capability Audit Table", "## 3. High-Signal Findings", "## 4. Atomic Diffs"),
    *("## 5. Local Tests & Gates", "## 6. Reproducibility Checklist", "## 7. Deferred Items"),
    "## 8. Error Capture Blocks",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("repositories")
    return {name: builder(root / name) for name, (builder, _said) in REPOS.items()}


@cache
def audited(root: Path) -> Audit:
    return audit(root, workers=1)


@pytest.mark.parametrize("name", NAMES)
def test_statuses_are_those_that_a_person_gave(built: dict[str, Path], name: str) -> None:
    said = REPOS[name][1]
    found = {row.capability.id: row.status for row in audited(built[name]).rows}
    assert found == {one.id: said.get(one.id, M) for one in CAPABILITIES}


@pytest.mark.parametrize("name", NAMES)
def test_the_report_is_valid_and_rendered_whole_in_every_format(built: dict[str, Path], name: str) -> None:
    found = audited(built[name])
    patches = [patch.as_dict() for patch in make_patches(found)]
    report = report_of(found, date="2026-01-01", patches=patches)
    jsonschema.validate(report, report_schema())
    text = render_markdown(report)
    places = [text.index(f"\n{title}\n") for title in SECTIONS]
    assert places == sorted(places)
    header = (
        "| Capability | Status | Existing Artifacts | Gaps | Risks | Minimal Patch Plan | Rollback Plan |"
    )
    rows = text[places[1] : places[2]].splitlines()
    assert rows[2] == header
    assert [line.split(" | ")[0].strip("| ") for line in rows[4:19]] == [one.name for one in CAPABILITIES]
    assert render_html(report).count("<h2>") == 8
    json.dumps(render_sarif(found, report))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "many"])
def test_every_patch_applies_and_leaves_files_that_parse(
    built: dict[str, Path], name: str, tmp_path: Path
) -> None:
    for number, patch in enumerate(make_patches(audited(built[name]))):
        copy = tmp_path / str(number)
        shutil.copytree(built[name], copy)
        (tmp_path / "one.patch").write_text(patch.diff, newline="")
        answer = git(copy, "apply", "--check", str(tmp_path / "one.patch"), seconds=20)
        assert answer is not None
        assert answer.good, (patch.title, answer.error)
        git(copy, "apply", str(tmp_path / "one.patch"), seconds=20)
        for path in patch.paths:
            assert parses(path, (copy / path).read_bytes().decode("utf-8")), path
            assert (copy / path).read_bytes() != _before(built[name] / path)


def _before(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def test_one_process_and_two_give_the_same_bytes(
    built: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.audit import facts

    monkeypatch.setattr(facts, "_WORTH_IT", 0)
    for name in ("hf_finetune", "broken", "many"):
        one = json.dumps(report_of(audited(built[name]), date="2026-01-01"), sort_keys=True)
        two = json.dumps(report_of(audit(built[name], workers=2), date="2026-01-01"), sort_keys=True)
        assert one == two


def test_a_copy_elsewhere_gives_the_same_report_but_for_its_name(
    built: dict[str, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "nano"
    shutil.copytree(built["nano"], copy)
    reports = [render_markdown(report_of(audit(root, workers=1))) for root in (built["nano"], copy)]
    assert reports[0] == reports[1]


def test_the_date_is_that_of_head_then_of_the_epoch_then_the_one_given(
    built: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.errors import UsageError

    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    empty = audited(built["empty"])
    assert report_of(audited(built["nano"]), date="2020-01-01")["metadata"]["date"] == "2023-11-14"
    with pytest.raises(UsageError, match="needs a date"):
        report_of(empty)
    assert report_of(empty, date="2020-02-29")["metadata"]["date"] == "2020-02-29"
    with pytest.raises(UsageError, match="no day"):
        report_of(empty, date="2020-02-30")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert report_of(empty, date="2020-02-29")["metadata"]["date"] == "1970-01-02"


def test_what_changed_since_the_last_report_is_told(built: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "windows"
    shutil.copytree(built["windows"], copy)
    before = report_of(audit(copy, workers=1))
    text = (copy / "load.py").read_bytes()
    (copy / "load.py").write_bytes(text.replace(b"torch.load(path)", b"torch.load(path, weights_only=True)"))
    (copy / "Dockerfile").unlink()
    commit(copy)
    after = report_of(audit(copy, workers=1))
    found = delta(before, after)
    assert "Deployment: Partially Implemented -> Missing (worse)" in found["code_changes"]
    assert any(key.startswith("unsafe-load:load.py") for key in found["findings_gone"])
    assert found["findings_new"] == []
    assert delta(after, after)["code_changes"] == []


# ---- the law: no row above its evidence ---------------------------------------------------------


SIGNALS = {one.id: sorted({name for need in one.needs for name in need.signals}) for one in CAPABILITIES}
PLACE = Evidence("a.py", 1)


@given(data=st.data(), capability=st.sampled_from(CAPABILITIES))
def test_no_row_stands_above_its_evidence(data: st.DataObject, capability: object) -> None:
    assert hasattr(capability, "needs")
    names = SIGNALS[capability.id] + [f"stub:{name}" for name in SIGNALS[capability.id]]  # type: ignore[attr-defined]
    rules = sorted({rule for need in capability.needs for rule in need.without})
    shown = data.draw(st.sets(st.sampled_from(names)) if names else st.just(set()))
    counted = data.draw(st.sets(st.sampled_from(rules)) if rules else st.just(set()))
    row = judge(
        capability,  # type: ignore[arg-type]
        {name: [PLACE] for name in shown},
        counted=dict.fromkeys(counted, 1),
        blind=data.draw(st.integers(0, 2)),
    )
    lacking = [
        need
        for need in capability.needs
        if (need.signals and not shown & set(need.signals)) or counted & set(need.without)
    ]
    ids = {need.id for need in lacking}
    assert list(row.missing) == [need for need in lacking if need.of not in ids]
    assert all(need.of in {one.id for one in row.missing} for need in lacking if need not in row.missing)
    assert (row.status == IMPLEMENTED) == (not lacking)
    if not shown:
        assert row.status in (MISSING, IMPLEMENTED) and (row.status == MISSING or not lacking)
    assert 1 <= row.confidence <= 5


# ---- texts of the repository in the pages -------------------------------------------------------

HOSTILE = """<img src=x onerror=alert(1)> | a `b` [c](javascript:alert(2)) &lt; "q" 'r' <!-- --> ```x"""


def hostile(value: object) -> object:
    """Every text that comes from the audited tree, replaced by one that would be markup."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, dict):
        kept = ("status", "severity_name", "id", "rule", "date", "generator")
        return {key: one if key in kept else hostile(one) for key, one in value.items()}
    return [hostile(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def told(built: dict[str, Path]) -> dict[str, Any]:
    """A report in which every text is hostile."""
    found = audited(built["hf_finetune"])
    report = report_of(found, patches=[patch.as_dict() for patch in make_patches(found)])
    report["delta"] = delta(report, report)
    changed = hostile(report)
    assert isinstance(changed, dict)
    changed["metadata"]["git_context"] = None
    return changed


def test_no_text_of_a_repository_becomes_markup_in_a_page(told: dict[str, Any]) -> None:
    page = render_html(told)
    assert "<img" not in page and "<!--" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 100


def test_no_text_of_a_repository_becomes_markup_in_markdown(told: dict[str, Any]) -> None:
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(render_markdown(told))
    assert "<img" not in page and "<!--" not in page and "<a " not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 100


def test_a_row_of_a_table_has_its_cells_whatever_they_hold(told: dict[str, Any]) -> None:
    page = MarkdownIt("commonmark").enable("table").render(render_markdown(told))
    rows = [row.count("<td>") for row in re.findall(r"(?s)<tr>(.*?)</tr>", page) if "<td>" in row]
    assert [*rows] == [7] * 15 + [4] * 5
