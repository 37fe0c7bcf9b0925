from __future__ import annotations

from pathlib import Path

import pytest

from codex_ml.core.paths import home


def test_the_workspace_is_the_variable_else_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("CODEX_HOME", raising=False)
        else:
            monkeypatch.setenv("CODEX_HOME", value)
        assert home().root == tmp_path
    monkeypatch.setenv("CODEX_HOME", "elsewhere")
    assert home().root == tmp_path / "elsewhere"
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.setenv("CODEX_HOME", "~/work")
    assert home().root == tmp_path / "person" / "work"


def test_every_directory_lies_in_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    found = home()
    assert found.run("demo") == tmp_path / "runs" / "demo"
    assert found.store == tmp_path / ".codex" / "store"
    assert found.compile_cache == tmp_path / ".codex" / "cache" / "inductor"
