"""`codex-ml audit` as people call it, and what it says of this project."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from audit_repos import commit, hf_finetune, notebook, windows, write
from codex_ml.audit.report import report_schema
from conftest import Result, run_program

pytestmark = pytest.mark.needs("audit")
ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., Result]


@pytest.fixture
def call(run_cli: Run, tmp_path: Path) -> Run:
    def made(*words: str | Path, **env: str) -> Result:
        return run_cli("audit", *words, cwd=tmp_path, env={"CODEX_HOME": str(tmp_path), **env})

    return made


def test_the_report_is_written_under_the_day_of_head(call: Run, tmp_path: Path) -> None:
    hf_finetune(tmp_path / "repo")
    done = call("repo", "--out", "report", "--format", "html")
    assert done.code == 0, done.err
    stem = "_codex_status_update-2023-11-14"
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        f"{stem}.{e}" for e in ("html", "json", "md")
    ]
    report = json.loads((tmp_path / "report" / f"{stem}.json").read_text())
    jsonschema.validate(report, report_schema())
    assert (
        (tmp_path / "report" / f"{stem}.md")
        .read_text()
        .startswith("# \U0001f4cdfinetune: Status Update (2023-11-14)")
    )


def test_stdout_is_the_report_and_nothing_else(call: Run, tmp_path: Path) -> None:
    windows(tmp_path / "repo")
    assert json.loads(call("repo", "--format", "json").out)["metadata"]["repository"] == "repo"
    sarif = json.loads(call("repo", "--format", "sarif").out)
    assert {row["ruleId"] for row in sarif["runs"][0]["results"]} >= {"unsafe-load", "container-root"}
    assert call("repo").out == call("repo").out


def test_a_patch_is_applied_by_its_number_and_the_next_report_tells(call: Run, tmp_path: Path) -> None:
    windows(tmp_path / "repo")
    (tmp_path / "before.json").write_text(call("repo", "--format", "json").out)
    titles = [row["title"] for row in json.loads((tmp_path / "before.json").read_text())["patches"]]
    number = titles.index("Load tensors alone in load.py") + 1
    done = call("repo", "--apply", str(number), "--json")
    assert done.json["paths"] == ["load.py"]
    after = json.loads(call("repo", "--since", "before.json", "--format", "json").out)
    assert any(key.startswith("unsafe-load:load.py") for key in after["delta"]["findings_gone"])
    refused = call("repo", "--apply", "99")
    assert refused.code == 2
    assert "there is no patch 99" in refused.err


def test_findings_of_a_severity_fail_when_asked(call: Run, tmp_path: Path) -> None:
    windows(tmp_path / "repo")
    assert call("repo", "--fail-on", "high", "--json").code == 3
    assert call("repo", "--fail-on", "critical", "--json").code == 0


def test_gates_are_run_on_demand_alone_and_their_failures_become_blocks(call: Run, tmp_path: Path) -> None:
    write(
        tmp_path / "repo",
        {
            "test_it.py": "import pathlib\npathlib.Path('ran').touch()\n\n\ndef test_it():\n    "
            "assert 2 == 3\n",
            ".codex/errors.ndjson": json.dumps(
                {"ts": "2025-09-05", "step": "3:docs", "err": "no docs", "ctx": "ci", "status": "Resolved"}
            ),
        },
    )
    commit(tmp_path / "repo")
    quiet = json.loads(call("repo", "--format", "json").out)
    assert not (tmp_path / "repo" / "ran").exists()
    assert quiet["snapshot"]["errors"][0]["error"] == "no docs"
    page = call("repo", "--run-tests").out
    assert (tmp_path / "repo" / "ran").exists()
    assert "| `python -m pytest -q` | unit and integration tests | failed in" in page
    assert "While performing [1:python -m pytest -q], encountered the following error:" in page
    assert "assert 2 == 3" in page
    slow = f"{sys.executable} -c 'import time; time.sleep(60)'"
    report = json.loads(
        call("repo", "--run-tests", "--command", slow, "--timeout", "1", "--format", "json").out
    )
    assert report["snapshot"]["tests_gates"]["commands"][0]["outcome"] == "timed out"
    refused = call("repo", "--run-tests", "--command", "'")
    assert refused.code == 2
    assert "no command" in refused.err


def test_the_audit_imports_no_torch(tmp_path: Path) -> None:
    write(tmp_path / "repo", {"a.py": "x = 1\n", "n.ipynb": notebook(("code", "x = 1"))})
    program = (
        "import sys\nfrom codex_ml.cli.entry import main\n"
        "code = main(['audit', 'repo', '--date', '2026-01-31', '--json'])\n"
        "assert code == 0, code\nassert not {'torch', 'transformers', 'hydra'} & set(sys.modules)\n"
    )
    done = run_program(sys.executable, "-c", program, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["statuses"]["training"] == "Missing"


def test_the_loop_from_an_audit_to_a_plan_to_an_audit_that_is_content(
    call: Run, run_cli: Run, tmp_path: Path
) -> None:
    """Every patch of the plan is applied by its command, in order; the findings that they answer are gone."""
    hf_finetune(tmp_path / "repo")
    (tmp_path / "r.json").write_text(call("repo", "--format", "json").out)
    env = {"CODEX_HOME": str(tmp_path)}
    plan = run_cli("digest", "--from-audit", "r.json", "--repo", "repo", "--json", cwd=tmp_path, env=env).json
    commands = [
        command for task in plan["plan"]["tasks"] for command in task["commands"] if "--apply" in command
    ]
    assert len(commands) == 6
    for command in commands:
        done = run_cli(*command.split()[1:], cwd=tmp_path, env=env)
        assert done.code == 0, done.err
    after = json.loads(call("repo", "--since", "r.json", "--format", "json").out)
    gone = {key.partition(":")[0] for key in after["delta"]["findings_gone"]}
    assert gone == {
        *("resume-not-wired", "unseeded-loader", "secret-baseline"),
        *("container-root", "container-health", "container-entrypoint"),
    }
    assert after["patches"] == []


# ---- this project -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own() -> dict[str, Any]:
    from codex_ml.audit.audit import audit
    from codex_ml.audit.report import report_of

    return report_of(audit(ROOT), date="2026-01-31")


def test_this_project_has_no_stub_no_open_note_and_no_test_without_an_assertion(own: dict[str, Any]) -> None:
    told = {row["rule"]: row["evidence"] for row in own["snapshot"]["findings"]}
    assert {
        rule: told[rule] for rule in ("stub", "todo", "notebook-stub", "empty-test") if rule in told
    } == {}


#: What a person who knows this project says: the status of each row, and a file that decides a need of it.
OWN = {
    "tokenization": ("Implemented", {"use": "tokenization/hf_tokenizer.py"}),
    "modeling": ("Implemented", {"use": "modeling/decoder.py"}),
    "training": ("Implemented", {"step": "training/step.py", "resume": "checkpointing/manager.py"}),
    "configuration": ("Implemented", {"checked": "config/validate.py"}),
    "evaluation": ("Implemented", {"metric": "evaluation/score.py", "written": "metrics/writers.py"}),
    "monitoring": ("Implemented", {"system": "monitoring/readings.py"}),
    "checkpointing": (
        "Implemented",
        {
            "load": "checkpointing/reader.py",
            "optimizer saved": "checkpointing/manager.py",
            "optimizer loaded": "training/session.py",
            "schedule loaded": "training/schedule.py",
            "random state loaded": "core/draws.py",
            "data position loaded": "data/order.py",
            "atomic": "core/publish.py",
        },
    ),
    "data": ("Implemented", {"order": "data/order.py", "use": "data/shards.py"}),
    "security": ("Partially Implemented", {"locked": "requirements.lock"}),
    "ci": ("Implemented", {"coverage": "pyproject.toml"}),
    "deployment": ("Missing", {}),
    "documentation": ("Implemented", {"readme": "README.md"}),
    "tracking": ("Implemented", {"use": "tracking/mlflow_utils.py"}),
    "cli": ("Implemented", {"use": "cli/app.py"}),
    "extensibility": ("Implemented", {"use": "registry/registry.py", "plugins": "registry/plugins.py"}),
}


def test_this_project_is_judged_as_a_person_judges_it_and_for_that_reason(own: dict[str, Any]) -> None:
    rows = {row["id"]: row for row in own["snapshot"]["capabilities"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        name: said for name, (said, _) in OWN.items()
    }
    for name, (_said, decided) in OWN.items():
        for need, path in decided.items():
            places = [place["path"] for place in rows[name]["evidence"][need]]
            assert any(place.endswith(path) for place in places), (name, need, places)


def test_the_page_of_the_status_says_what_the_audit_finds(own: dict[str, Any]) -> None:
    """`make status` writes it; places move with each change, what is said of them must not."""
    page = (ROOT / "docs" / "status.md").read_text(encoding="utf-8")
    for row in own["snapshot"]["capabilities"]:
        (line,) = [one for one in page.splitlines() if one.startswith(f"| {row['name']} |")]
        cells = line.split(" | ")
        assert cells[1] == row["status"], row["name"]
        assert all(gap in cells[3] for gap in row["gaps"]), row["name"]
        assert (cells[3] == "none") == (not row["gaps"]), row["name"]
    for one in own["snapshot"]["repro"]["registry"]:
        box = "x" if one["status"] == "ticked" else " "
        assert f"- [{box}] **{one['control']}**" in page
