"""Failures of the program itself are noted like any other, and never raise a second one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from codex_ml.digest.capture import capture_exception, default_store, log_error


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - any kind is given
        return caught


def test_log_error_writes_to_the_store_of_the_workspace(workspace: Path) -> None:
    entry = log_error("3:nox -s tests", ValueError("bad"), "here")
    assert (workspace / ".codex" / "errors.ndjson").is_file()
    assert default_store().entries() == [entry]
    assert (entry.step, entry.error, entry.context, entry.status) == (
        *("3:nox -s tests", "ValueError: bad"),
        *("here", "Open"),
    )


def test_an_unexpected_exception_is_kept_with_its_place_and_traceback(workspace: Path) -> None:
    entry = capture_exception(_raised(KeyError("x")), step="codex-ml train")
    assert entry is not None
    assert "raised at" in entry.context and "in _raised" in entry.context
    assert entry.detail is not None and entry.detail.startswith("Traceback")


def test_where_nothing_can_be_written_one_line_says_so(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (workspace / ".codex").write_text("a file in the way")
    with caplog.at_level(logging.WARNING):
        assert capture_exception(_raised(KeyError("x")), step="s") is None
    assert len(caplog.records) == 1
    assert "was not noted" in caplog.text


def test_a_secret_in_an_exception_is_not_written(workspace: Path) -> None:
    token = "ghp_" + "a1B2" * 9
    capture_exception(
        _raised(RuntimeError(f"cannot push with {token}")), step=f"codex-ml push --token {token}"
    )
    assert token not in (workspace / ".codex" / "errors.ndjson").read_text()
