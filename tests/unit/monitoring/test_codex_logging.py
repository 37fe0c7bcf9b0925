from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codex_ml
from codex_ml.errors import UsageError
from codex_ml.monitoring.codex_logging import LogSettings, head_commit, setup_logging

TOKEN = (
    "ghp_" + "aB3dE5gH" + "7jK9mN1p" + "Q2rS4tU6" + "vW8xY0zA" + "1bC3"
)  # not in one piece: a scan of the project would find it
log = logging.getLogger("codex_ml.some.part")


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_text_is_as_people_read_it_and_levels_hold() -> None:
    stream = io.StringIO()
    setup_logging(LogSettings(), stream=stream)
    log.info("unseen")
    log.warning("seen %s", 1)
    assert stream.getvalue() == "WARNING: seen 1\n"


def test_setting_up_again_replaces_what_was_set_up() -> None:
    first, second = io.StringIO(), io.StringIO()
    setup_logging(LogSettings(), stream=first)
    setup_logging(LogSettings(level="info"), stream=second)
    log.info("once")
    assert (first.getvalue(), second.getvalue()) == ("", "INFO: once\n")


def test_ndjson_holds_time_level_logger_message_extra_and_exception() -> None:
    stream = io.StringIO()
    setup_logging(LogSettings(form="ndjson"), stream=stream)
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        log.exception("step %d", 3, extra={"step": 3, "path": Path("x")})
    (row,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (row["level"], row["logger"], row["message"], row["step"]) == (
        "error",
        "codex_ml.some.part",
        "step 3",
        3,
    )
    assert row["path"] in ("x", "PosixPath('x')")
    assert "ValueError: broken\nin two lines" in row["exception"]
    assert row["ts"] > 1.6e9


def test_no_secret_passes_in_message_argument_extra_or_exception(tmp_path: Path) -> None:
    streams = [io.StringIO(), io.StringIO()]
    for form, stream in zip(("text", "ndjson"), streams, strict=True):
        setup_logging(LogSettings(form=form, file=tmp_path / f"{form}.log"), stream=stream)
        log.warning("clone with %s", TOKEN)
        log.warning(f"https://me:{TOKEN}@example.org/x", extra={"token": TOKEN, "deep": {"a": [TOKEN]}})
        try:
            raise RuntimeError(f"refused: api_key={TOKEN}")
        except RuntimeError:
            log.exception("failed")
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    for text in (*(stream.getvalue() for stream in streams), written):
        assert TOKEN not in text
        assert "[redacted:" in text and "clone with" in text and "example.org" in text


def test_the_file_is_ndjson_from_info_on_and_begins_with_the_code_that_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "codex.log"
    setup_logging(LogSettings(file=file), stream=io.StringIO())
    log.debug("unseen")
    log.info("seen")
    first, second = lines(file)
    assert first["facts"]["version"] == codex_ml.__version__
    assert len(first["facts"]["code_sha256"]) == 64
    assert (second["message"], second["level"]) == ("seen", "info")
    setup_logging(LogSettings(file=file), stream=io.StringIO())
    log.info("more")
    assert [row["message"] for row in lines(file)] == ["start", "seen", "more"]
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_a_file_is_moved_aside_at_its_size_and_only_so_many_are_kept(keep: int, tmp_path: Path) -> None:
    file = tmp_path / "codex.log"
    setup_logging(LogSettings(file=file, largest=1000, keep=keep), stream=io.StringIO())
    for number in range(40):
        log.info("message %03d %s", number, "x" * 50)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["codex.log", *(f"codex.log.{number}" for number in range(1, keep + 1))]
    for name in names:
        assert (tmp_path / name).stat().st_size <= 1000
        assert lines(tmp_path / name)[0]["message"] == "start"
    kept = [row["message"] for name in reversed(names) for row in lines(tmp_path / name)[1:]]
    assert kept == [f"message {number:03d} {'x' * 50}" for number in range(40)][-len(kept) :]


_WRITER = """
import io, logging, pathlib, sys
from codex_ml.monitoring.codex_logging import LogSettings, setup_logging
setup_logging(LogSettings(file=pathlib.Path(sys.argv[1]), largest=4000, keep=99), stream=io.StringIO())
for number in range(150):
    logging.getLogger("w").info("%s-%d", sys.argv[2], number)
"""


def test_two_processes_share_a_file_and_lose_no_line(tmp_path: Path) -> None:
    file = tmp_path / "codex.log"
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(file), name]) for name in ("one", "two")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = [row["message"] for path in tmp_path.iterdir() for row in lines(path)]
    for name in ("one", "two"):
        assert sorted(text for text in found if text.startswith(name)) == sorted(
            f"{name}-{number}" for number in range(150)
        )


def test_a_disk_that_fills_later_ends_the_file_and_not_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    stream = io.StringIO()
    setup_logging(LogSettings(file=tmp_path / "codex.log"), stream=stream)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", full)
        log.info("lost")
        log.info("lost")
    assert stream.getvalue().count("the log file is given up") == 1


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        setup_logging(LogSettings(file=tmp_path / "file" / "codex.log"), stream=io.StringIO())
    assert caught.value.code == "config.log-file"
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CODEX_LOG", "loud"),
        ("CODEX_LOG_FORMAT", "xml"),
        ("CODEX_LOG_BYTES", "1e6"),
        ("CODEX_LOG_KEEP", "-1"),
    ],
)
def test_a_value_that_is_none_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        LogSettings.from_environment({name: value})
    assert caught.value.code == "config.log"
    assert name in str(caught.value) and value in str(caught.value)
    assert caught.value.next_step


def test_debug_tells_what_the_project_does_and_not_each_font_that_is_looked_at() -> None:
    stream = io.StringIO()
    setup_logging(LogSettings(level="debug"), stream=stream)
    logging.getLogger("matplotlib.font_manager").debug("findfont: score = 10.05")
    logging.getLogger("matplotlib.font_manager").warning("findfont: not found")
    log.debug("ours")
    assert stream.getvalue() == "WARNING: findfont: not found\nDEBUG: ours\n"


def test_the_environment_sets_everything(tmp_path: Path) -> None:
    environ = {
        "CODEX_LOG": "DEBUG",
        "CODEX_LOG_FORMAT": "ndjson",
        "CODEX_LOG_FILE": str(tmp_path / "x"),
        "CODEX_LOG_BYTES": "5000",
        "CODEX_LOG_KEEP": "2",
    }
    assert LogSettings.from_environment(environ) == LogSettings(
        "debug", "debug", "ndjson", tmp_path / "x", 5000, 2
    )
    assert LogSettings.from_environment({}) == LogSettings()


def test_the_commit_is_read_from_gits_own_files(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert head_commit(tmp_path / "a") is None
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{'1' * 40} refs/heads/main\n")
    assert head_commit(below) == "1" * 40
    (git / "refs" / "heads" / "main").write_text(f"{'2' * 40}\n")
    assert head_commit(below) == "2" * 40
    (git / "HEAD").write_text(f"{'3' * 40}\n")
    assert head_commit(below) == "3" * 40


def test_in_a_worktree_and_in_a_submodule_the_commit_is_their_own(tmp_path: Path) -> None:
    def git(folder: Path, *words: str) -> str:
        options = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", "-C", str(folder), *options, *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    main, inner, tree = (tmp_path / name for name in ("main", "inner", "tree"))
    for folder in (inner, main):
        folder.mkdir()
        git(folder, "init", "-q", "-b", "trunk")
        git(folder, "commit", "-q", "--allow-empty", "-m", folder.name)
    git(main, "submodule", "add", "-q", str(inner), "libs/inner")
    git(main, "worktree", "add", "-q", "-b", "other", str(main / "below"))
    git(main, "worktree", "add", "-q", "--detach", str(tree))
    for folder in (main / "below", tree):
        git(folder, "commit", "-q", "--allow-empty", "-m", folder.name)
    for folder in (main, main / "libs" / "inner", main / "below", tree):
        assert head_commit(folder) == git(folder, "rev-parse", "HEAD")
    git(main, "pack-refs", "--all")
    assert head_commit(main / "below") == git(main / "below", "rev-parse", "HEAD")
    for content in ("gitdir: /nowhere", "\0", "text"):
        (tree / ".git").write_text(content)
        assert head_commit(tree) is None
