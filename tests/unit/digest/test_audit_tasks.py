"""An audit's JSON becomes tasks: patches to apply, scaffolds, gaps by severity, and the audit again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.digest.audit_tasks import audit_tasks
from codex_ml.digest.document import audit_document
from codex_ml.digest.tasks import Task, ordered
from codex_ml.errors import DataError

REPORT: dict[str, Any] = {
    "metadata": {"title": "Status Update", "repository": "repo"},
    "snapshot": {
        "capabilities": [
            {
                "id": "tokenization",
                "name": "Tokenization",
                "status": "Missing",
                "gaps": ["no tokenizer"],
                "severity": 3,
            },
            {
                "id": "checkpointing",
                "name": "Checkpointing & Resume",
                "status": "Partially Implemented",
                "artifacts": ["train.py:12 torch.save"],
                "gaps": ["optimizer state is not loaded"],
                "patch_plan": "wire resume",
                "rollback": "git revert",
                "severity": 5,
            },
            {"id": "docs", "name": "Documentation", "status": "Implemented", "gaps": [], "severity": 1},
        ],
        "findings": [
            {
                "rule": "unsafe-load",
                "title": "Unsafe load",
                "evidence": ["infer.py:3"],
                "impact": "runs code",
                "proposed_action": "weights_only=True",
                "severity": 4,
            }
        ],
    },
    "patches": [
        {
            "title": "Resume",
            "paths": ["train.py"],
            "why": "state is lost",
            "validation": "pytest",
            "rollback": "-R",
        },
        {"title": "Safe load", "paths": ["infer.py"]},
    ],
}


def tasks(report: Any = REPORT) -> dict[str, Task]:
    found = audit_tasks(json.dumps(report), report="out/REPORT.json", repository="../their repo")
    return {task.id: task for task in found}


def test_patches_come_first_then_the_most_severe_and_the_audit_at_last() -> None:
    assert list(tasks()) == [
        *("patch-1", "patch-2", "capability-checkpointing", "finding-1", "capability-tokenization"),
        "audit-again",
    ]
    assert [task.id for task in ordered(tuple(tasks().values()))] == list(tasks())


def test_a_patch_is_applied_by_the_auditor_under_its_number_or_its_id() -> None:
    found = tasks()
    assert found["patch-2"].commands == ("codex-ml audit '../their repo' --apply 2",)
    assert found["patch-2"].check.command is None  # a number is no name for what is to be gone
    named = tasks({**REPORT, "patches": [{"id": "unsafe-load-84e6374f", "title": "Safe load"}]})
    assert named["patch-1"].commands == ("codex-ml audit '../their repo' --apply unsafe-load-84e6374f",)
    assert named["patch-1"].check.command == (
        "codex-ml audit '../their repo' --gone unsafe-load-84e6374f --json"
    )


def test_each_check_names_what_has_to_be_gone_or_implemented_and_the_last_one_all_of_it() -> None:
    found = tasks()
    audit = "codex-ml audit '../their repo'"
    assert found["capability-tokenization"].check.command == f"{audit} --require tokenization --json"
    assert found["finding-1"].check.command == f"{audit} --gone unsafe-load --json"
    assert found["audit-again"].check.command == (
        f"{audit} --gone unsafe-load --require tokenization --require checkpointing --json"
    )
    assert found["audit-again"].commands == (f"{audit} --since out/REPORT.json",)


HOSTILE = "1 --date 2026-01-01 --run-tests --command 'touch PWNED'"


def test_an_id_that_is_none_never_becomes_words_of_a_command() -> None:
    with pytest.raises(DataError, match="patch 1 has the id") as caught:
        tasks({**REPORT, "patches": [{"id": HOSTILE}]})
    assert caught.value.code == "digest.audit"
    rows = [{"id": HOSTILE, "name": HOSTILE, "status": "Missing"}]
    found = tasks(
        {
            "metadata": {"git_context": None, "date": HOSTILE},
            "snapshot": {"capabilities": rows, "findings": [{"rule": HOSTILE, "title": HOSTILE}]},
        }
    )
    commands = [one for task in found.values() for one in (*task.commands, task.check.command) if one]
    assert commands == ["codex-ml audit '../their repo' --since out/REPORT.json"]


def test_what_a_patch_answers_waits_for_it() -> None:
    found = tasks()
    assert found["capability-checkpointing"].depends_on == ("patch-1",)
    assert found["finding-1"].depends_on == ("patch-2",)


def test_a_package_gets_a_task_that_makes_what_is_missing_and_any_other_repository_a_hint(
    tmp_path: Path,
) -> None:
    assert "scaffold-tokenizer" not in tasks()
    assert "scaffold tokenizer NAME" in tasks()["capability-tokenization"].why
    (tmp_path / "src" / "my_parts").mkdir(parents=True)
    (tmp_path / "src" / "my_parts" / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "my-parts"\n')

    def made() -> dict[str, Task]:
        found = audit_tasks(json.dumps(REPORT), report="r.json", repository=str(tmp_path))
        return {task.id: task for task in found}

    found = made()
    assert found["scaffold-tokenizer"].commands == (
        f"codex-ml scaffold tokenizer my_tokenizer --dir {tmp_path}",
    )
    assert found["capability-tokenization"].depends_on == ("scaffold-tokenizer",)
    assert found["capability-tokenization"].commands == ()  # what was made is a beginning
    (tmp_path / "src" / "my_parts" / "my_tokenizer.py").write_text("")
    assert "scaffold-tokenizer" not in made()


def test_what_is_implemented_gives_no_task_and_a_clean_report_no_plan() -> None:
    assert "capability-docs" not in tasks()
    assert tasks({"snapshot": {"capabilities": [], "findings": []}, "patches": []}) == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"snapshot": 3}', "# Status"])
def test_a_file_that_is_no_report_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        audit_document(path, date=None)
    assert caught.value.code == "digest.audit"


@pytest.mark.parametrize("cell", [None, 3, "x", ["a", 1], {"k": ["v"]}])
def test_cells_of_any_type_are_read(cell: Any) -> None:
    row = dict.fromkeys(("id", "name", "gaps", "artifacts", "patch_plan", "rollback", "severity"), cell)
    assert tasks(
        {"snapshot": {"capabilities": [{**row, "status": "Missing"}], "findings": cell}, "patches": cell}
    )


def test_a_secret_in_a_report_does_not_reach_the_plan() -> None:
    token = "ghp_" + "a1B2" * 9
    report = {"snapshot": {"findings": [{"title": f"token {token}", "evidence": token}]}}
    assert token not in repr(tasks(report))
