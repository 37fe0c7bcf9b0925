"""A file of an environment: what is read, what is refused, and what of the code is compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.paths import Home
from codex_ml.errors import CodexError
from codex_ml.provenance.env_compare import compare_environments
from codex_ml.provenance.snapshot import FORMAT, read_code, read_environment

ENVIRONMENT = {"packages": {"numpy": {"version": "2.0"}}}
CODE = {
    "commit": "a" * 40,
    "tags": [],
    "dirty": True,
    "source_sha256": "b" * 64,
    "diff": {"sha256": "c" * 64},
}


def written(path: Path, **changes: Any) -> str:
    content = {"format": FORMAT, "environment": ENVIRONMENT, "code": CODE, **changes}
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("change", "key", "effect"),
    [
        ({"commit": "d" * 40}, "code.commit", "recorded"),
        ({"source_sha256": "d" * 64}, "code.source_sha256", "bits"),
        ({"dirty": False}, "code.dirty", "recorded"),
        ({"diff": {"sha256": "d" * 64}}, "code.diff_sha256", "recorded"),
    ],
)
def test_other_code_is_a_difference(change: dict[str, Any], key: str, effect: str, tmp_path: Path) -> None:
    names = written(tmp_path / "a.json"), written(tmp_path / "b.json", code={**CODE, **change})
    home = Home(tmp_path)
    sides = [{**read_environment(name, home=home), "code": read_code(name, home=home)} for name in names]
    assert [(row.key, row.effect) for row in compare_environments(*sides)] == [(key, effect)]
    assert compare_environments(sides[0], sides[0]) == []


def test_the_record_of_a_run_is_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    stored = {"provenance": {"environment": ENVIRONMENT, "code": CODE}, "segments": []}
    path.write_text(json.dumps(stored), encoding="utf-8")
    assert read_environment(str(path), home=Home(tmp_path)) == ENVIRONMENT
    assert read_code(str(path), home=Home(tmp_path))["commit"] == CODE["commit"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (json.dumps({"format": 99, "environment": ENVIRONMENT}), "env.snapshot"),
        (json.dumps({"format": FORMAT, "environment": []}), "env.snapshot"),
        ("[]", "env.snapshot"),
        ("root:x:0:0:root", "integrity.json"),
    ],
)
def test_another_file_is_refused_with_what_to_do(text: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CodexError) as caught:
        read_environment(str(path), home=Home(tmp_path))
    assert caught.value.code == code
    assert "codex-ml env snapshot" in str(caught.value.next_step)
