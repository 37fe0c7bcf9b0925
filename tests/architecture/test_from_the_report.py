"""Every place that docs/from-the-report.md names for a part of the report is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
import pytest

from codex_ml.cli.app import app
from codex_ml.config.environment import known_variables

pytestmark = pytest.mark.needs("train", "audit", "tracking")
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "from-the-report.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?!in the report|---)(.+?) (?<!\\)\| (.+) \|$", PAGE, re.MULTILINE)
PLACES = sorted({place for _, here in ROWS for place in re.findall(r"`([^`]+)`", here)})


def is_there(place: str) -> bool:
    """Whether a command, a target, a session, a variable, a name of the package or a path exists."""
    kind, _, rest = place.partition(" ")
    if kind == "codex-ml":
        return is_command(rest.split())
    if kind == "make":
        return re.search(rf"^{rest}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None
    if kind == "nox":
        session = rest.removeprefix("-s ")
        return f"\ndef {session}(session" in (ROOT / "noxfile.py").read_text()
    if place.startswith("CODEX_"):
        return place in known_variables()
    module, colon, name = place.partition(":")
    return hasattr(importlib.import_module(module), name) if colon else (ROOT / place).exists()


def is_command(words: list[str]) -> bool:
    command: click.Command | None = app
    for word in words:
        if not isinstance(command, click.Group):
            return False
        command = command.get_command(click.Context(command), word)
    return command is not None


@pytest.mark.parametrize("place", PLACES)
def test_the_place_is_there(place: str) -> None:
    assert is_there(place)


def test_a_place_that_is_not_there_is_seen() -> None:
    gone = [
        "codex-ml runs lss",
        "make all",
        "nox -s test",
        "CODEX_HOMES",
        "codex_ml.errors:NoError",
        "src/x.py",
    ]
    assert [place for place in gone if is_there(place)] == []


def test_each_row_names_a_place_or_says_why_there_is_none() -> None:
    silent = [
        old for old, here in ROWS if "`" not in here and not here.startswith(("to come", "dropped, because "))
    ]
    assert silent == []
    assert len(ROWS) > 50
