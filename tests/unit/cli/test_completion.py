from __future__ import annotations

import os

import click
import pytest

from codex_ml.cli.common import complete_override
from codex_ml.config.keys import all_keys


def completed(text: str) -> list[str]:
    command = click.Command("x")
    return complete_override(click.Context(command), click.Argument(["overrides"]), text)


def test_a_word_is_completed_to_options_and_keys() -> None:
    assert completed("train.l") == ["train.lr=", "train.log_every="]
    assert "model=small" in completed("mod")
    assert "model.layers=" in completed("model")
    assert completed("experiment=t") == ["experiment=tiny"]
    assert completed("zzz") == []


def test_nothing_typed_offers_every_key_and_every_option() -> None:
    found = completed("")
    assert {f"{path}=" for path in all_keys()} <= set(found)
    assert {"experiment=demo", "train=adamw", "data=jsonl"} <= set(found)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script_that_names_the_program(shell: str, run_cli) -> None:
    done = run_cli("completion", shell)
    assert done.code == 0
    assert "_CODEX_ML_COMPLETE" in done.out


def test_a_shell_that_asks_gets_the_keys(run_cli) -> None:
    env = {
        "_CODEX_ML_COMPLETE": "bash_complete",
        "COMP_WORDS": "codex-ml config show train.l",
        "COMP_CWORD": "3",
    }
    import shutil
    import sys
    from pathlib import Path

    from conftest import run_program

    program = Path(sys.executable).with_name("codex-ml")
    if not program.exists():
        found = shutil.which("codex-ml")
        assert found is not None, f"the console script is not installed beside {sys.executable}"
        program = Path(found)
    done = run_program(program, env={**env, "PATH": os.environ["PATH"]})
    assert [item.split(",")[-1] for item in done.out.split()] == ["train.lr=", "train.log_every="]
