"""Every command that computes something gives the same again, from nothing and in another place."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import run_program

pytestmark = pytest.mark.needs("train", "report")

#: In an order in which each finds what it needs. {home} is the workspace.
COMMANDS = (
    "tokenizer train experiment=tiny",
    "data prepare experiment=tiny",
    "data stats experiment=tiny",
    "data inspect experiment=tiny --row 3",
    "tokenizer eval experiment=tiny",
    "train experiment=tiny name=again train.steps=6 eval.every=3 checkpoint.every=6",
    "pipeline run experiment=tiny name=whole train.steps=6 eval.every=3 checkpoint.every=6",
    "eval tiny --task lm",
    "generate tiny --prompt def --max-tokens 8 --temperature 0.9",
    "reproduce tiny --steps 2",
    "checkpoint digest whole",
    "model inspect {home}/runs/tiny/export",
    "model import {home}/runs/tiny/export --out {home}/imported",
    "lineage whole",
    "lineage whole --step 3",
    "lineage --document json/decoder.py",
    "attest verify whole",
    "verify whole",
    "runs ls",
    "runs best --metric loss",
    "runs plot whole",
    "sweep experiment=tiny seed=1,2 --dry-run",
)
#: What may differ between two calls, by the name of the field.
VOLATILE = frozenset(
    ("run_id", "started", "created", "taken", "ts", "free_bytes", "tokens_per_second", "seconds", "system")
) | {
    "memory_bytes",
    "memory_free_bytes",
    "at_risk_seconds",
    "boot_id",
    "manifest_sha256",
    "wall_seconds",
    "moment",
}

_DRIVER = """
import contextlib, io, json, os, sys
from codex_ml.cli.entry import main
for line in sys.stdin:
    os.environ["CODEX_HOME"], _, words = line.strip().partition(" ")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*words.split(), "--json", "--quiet"])
    print(json.dumps([code, out.getvalue().strip().splitlines()[-1]]), flush=True)
"""


def answers(homes: list[Path], folder: Path) -> list[list[Any]]:
    """Exit code and object of each command in each workspace; one process, for imports take the longest.

    What one call draws from a global generator would show in the next.
    """
    driver, script = folder / "driver.py", folder / "commands.txt"
    driver.write_text(_DRIVER)
    lines = [f"{home} {line}".replace("{home}", str(home)) for home in homes for line in COMMANDS]
    script.write_text("\n".join(lines) + "\n")
    done = run_program("sh", "-c", f'exec "{sys.executable}" "{driver}" < "{script}"', cwd=folder)
    assert done.code == 0, done.err
    text = done.out
    for home in homes:
        text = text.replace(str(home), "HOME")
    return [json.loads(line) for line in text.splitlines() if line.startswith("[")]


def steady(value: Any) -> Any:
    """*value* without what may differ."""
    if isinstance(value, dict):
        return {name: steady(item) for name, item in value.items() if name not in VOLATILE}
    return [steady(item) for item in value] if isinstance(value, list) else value


def test_every_computing_command_gives_the_same_twice(trained: Path, tmp_path: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "another"]
    for home in homes:
        shutil.copytree(trained / "runs" / "tiny", home / "runs" / "tiny")  # the store is built anew
    found = answers(homes, tmp_path)
    assert len(found) == 2 * len(COMMANDS)
    first, second = found[: len(COMMANDS)], found[len(COMMANDS) :]
    for command, (code, one), (again, other) in zip(COMMANDS, first, second, strict=True):
        assert code == again == 0, (command, one)
        assert steady(json.loads(one)) == steady(json.loads(other)), command
    trained_anew = [
        json.loads(one)["weights_sha256"]
        for command, (_, one) in zip(COMMANDS, first, strict=True)
        if command.startswith("pipeline run")
    ]
    assert trained_anew == [json.loads(first[COMMANDS.index("checkpoint digest whole")][1])["weights_sha256"]]
