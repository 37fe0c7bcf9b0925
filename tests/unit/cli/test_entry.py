"""main(argv): the exit codes of the contract, one line on stderr, one object for --json."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from codex_ml import errors
from codex_ml.cli.app import app
from codex_ml.cli.common import Invocation, common_options
from codex_ml.cli.entry import main

#: error class -> exit code of the contract
CODES: dict[type[errors.CodexError], int] = {
    errors.CodexError: 1,
    errors.UsageError: 2,
    errors.ConfigError: 2,
    errors.MissingExtraError: 2,
    errors.NotFoundError: 2,
    errors.ConflictError: 2,
    errors.LoadError: 2,
    errors.DataError: 2,
    errors.IntegrityError: 3,
    errors.CheckpointLoadError: 3,
    errors.TrainingError: 1,
    errors.StorageError: 1,
    errors.Interrupted: 75,
}


@pytest.fixture
def act(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> Callable[[Callable[[Invocation], Any]], None]:
    """Put a command of our own in the place of ``completion``."""

    def install(body: Callable[[Invocation], Any]) -> None:
        @click.command("completion")
        @common_options
        def command(invocation: Invocation) -> Any:
            """A command for a test."""
            return body(invocation)

        module = importlib.import_module("codex_ml.cli.completion")
        monkeypatch.setattr(module, "command", command)

    return install


def raising(error: BaseException) -> Callable[[Invocation], Any]:
    def body(invocation: Invocation) -> None:
        raise error

    return body


def test_the_table_holds_every_class_of_the_tree() -> None:
    found = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.CodexError)
    }
    assert found == {*CODES, errors.RegistryError}


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_an_error_ends_with_the_code_of_its_class_and_one_line(kind, act, capsys) -> None:
    act(raising(kind("what\nhappened", code="some.code", got="this", wanted="that", next_step="do it")))
    assert main(["completion", "--json"]) == CODES[kind]
    out, err = capsys.readouterr()
    assert err == "error: what happened; got this; wanted that. Next: do it [some.code]\n"
    assert json.loads(out) == {
        "error": {
            "code": "some.code",
            "what": "what\nhappened",
            "got": "this",
            "wanted": "that",
            "next": "do it",
        },
        "exit_code": CODES[kind],
    }
    assert main(["completion"]) == CODES[kind]
    assert capsys.readouterr().out == ""


def test_an_interrupt_says_that_the_same_command_goes_on(act, capsys) -> None:
    for error in (KeyboardInterrupt(), click.Abort()):
        act(raising(error))
        assert main(["completion", "--json"]) == 75
        out, err = capsys.readouterr()
        assert "run the same command again" in err
        assert json.loads(out)["exit_code"] == 75


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device", "/data/file"), "storage.full"),
        (PermissionError(13, "Permission denied", "/data/file"), "storage.permission"),
        (OSError(5, "Input/output error", "/data/file"), "storage.write"),
    ],
)
def test_a_refusing_disk_is_one_line_with_its_path(error: OSError, code: str, act, capsys) -> None:
    act(raising(error))
    assert main(["completion", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "/data/file" in err and f"[{code}]" in err
    assert json.loads(out)["error"]["code"] == code


def test_a_programming_error_is_one_line_that_says_so_and_its_traceback_is_in_the_debug_log(
    act, capsys, caplog
) -> None:
    act(raising(ZeroDivisionError("by zero")))
    with caplog.at_level("DEBUG", logger="codex_ml.cli.entry"):
        assert main(["completion", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "a fault of codex-ml itself: ZeroDivisionError: by zero" in err
    assert "CODEX_LOG=debug" in err
    assert json.loads(out)["error"]["code"] == "internal"
    assert "raise" in caplog.text


def test_done_is_zero_and_a_command_may_give_its_own_code(act, capsys) -> None:
    act(lambda invocation: invocation.emit({"a": 1}, "for people"))
    assert main(["completion"]) == 0
    assert capsys.readouterr() == ("for people\n", "")
    assert main(["completion", "--json"]) == 0
    assert capsys.readouterr() == ('{"a": 1}\n', "for people\n")
    assert main(["completion", "--json", "--quiet"]) == 0
    assert capsys.readouterr() == ('{"a": 1}\n', "")
    act(lambda invocation: 3)
    assert main(["completion"]) == 3


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["trian"], "did you mean 'train'?"),
        (["completion"], "codex-ml completion --help"),
        (["completion", "tcsh"], "codex-ml completion --help"),
        (["--nothing"], "codex-ml --help"),
        (["runs", "ls", "--nothing"], "codex-ml runs ls --help"),
    ],
)
def test_a_wrong_call_is_usage_and_points_at_the_help(
    words: list[str], shown: str, workspace, capsys
) -> None:
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert shown in err and err.endswith("[usage]\n")
    assert json.loads(out)["error"]["code"] == "usage"


def test_help_and_version_are_done(workspace, capsys) -> None:
    from codex_ml import __version__

    assert main(["--help"]) == 0
    assert "pipeline" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
    assert main(["runs", "--help"]) == 0


def test_a_wrong_log_level_is_refused(act, capsys, monkeypatch) -> None:
    act(lambda invocation: None)
    monkeypatch.setenv("CODEX_LOG", "loud")
    assert main(["completion"]) == 2
    assert "debug, info, warning or error" in capsys.readouterr().err


def test_the_network_is_denied_unless_allowed_for_this_call(act) -> None:
    from codex_ml.core.offline import network_denied

    seen: list[tuple[bool, bool]] = []
    act(lambda invocation: seen.append((network_denied(), invocation.network_allowed)))
    assert main(["completion"]) == main(["completion", "--allow-network"]) == main(["completion"]) == 0
    assert seen == [(True, False), (False, True), (True, False)]


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    words = [sys.executable, "-m", "codex_ml", "config", "schema"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        errors_told = process.stderr.read().decode()
        process.wait(timeout=60)
    assert process.returncode in (1, -signal.SIGPIPE)
    assert "Traceback" not in errors_told and "Exception ignored" not in errors_told


def test_every_command_is_in_the_tree_and_its_module_exists() -> None:
    context = click.Context(app)
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None and command.name == name
    assert app.get_command(context, "nothing") is None
