"""The steps that a log names: sessions of nox, groups of a workflow, commands that a shell echoes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from codex_ml.digest.clean import Line
from codex_ml.digest.failures import cut

#: First words that make a text a command.
_NAMES = """
pytest python python3 nox tox make ruff mypy git pip pip3 uv uvx npm npx yarn pnpm node docker
podman cargo go cmake ninja bash sh codex-ml poetry pre-commit coverage black isort flake8 pylint
bandit gcc g++ clang torchrun accelerate deepspeed conda mamba apt apt-get brew curl wget tar unzip
cp mv rm mkdir cd ls cat echo source export kubectl helm terraform sphinx-build mkdocs hatch twine
semgrep detect-secrets pip-audit ./configure gradle mvn
"""
PROGRAMS = frozenset(_NAMES.split())
_MOST_SPLIT = 4096  # characters; splitting takes more than in proportion to the length of a word
_VARIABLE = re.compile(r"[A-Za-z_]\w*=")
_NOX = re.compile(r"nox > Running session (?P<session>\S+)")
_NOX_COMMAND = re.compile(
    r"nox > (?P<command>(?!Running|Session|Command|Creating|Re-using|Reusing|Ran|\*|Program)\S.*)"
)
_ECHO = re.compile(r"(?:\+{1,3}|\$) (?P<command>\S.*)$")


def is_command(text: str, more: Sequence[tuple[str, ...]] = ()) -> bool:
    """Whether *text* is a command line of a known program, possibly with variables set before.

    *more*: the first words of other commands that the user named.
    """
    try:
        words = shlex.split(text[:_MOST_SPLIT])
    except ValueError:
        return False
    if any(tuple(words[: len(own)]) == own for own in more):
        return True
    first = next((word for word in words if not _VARIABLE.match(word)), "")
    return first in PROGRAMS or first.startswith(("./", "scripts/", ".venv/bin/"))


@dataclass
class Steps:
    """Where in the log we are; `read` says whether a line began a step."""

    number: int = 0
    name: str = ""
    command: str | None = None
    began: int = 0
    nox: bool = False

    def read(self, line: Line) -> bool:
        """Take note of the step that *line* begins, if it does."""
        text = line.text
        if text.startswith("nox > "):
            self.nox = True
            if found := _NOX.match(text):
                return self._begin(
                    f"nox -s {found['session']}", line, f"nox -s {shlex.quote(found['session'])}"
                )
            if (found := _NOX_COMMAND.match(text)) and is_command(found["command"]):
                self.command = self.command or found["command"]
            return False
        if line.mark == "group" and text.startswith("Run "):
            command = text.removeprefix("Run ")
            return self._begin(command, line, command if is_command(command) else None)
        if text[:1] in "+$" and (found := _ECHO.match(text)) and is_command(found["command"]):
            return self._begin(found["command"], line, found["command"])
        return False

    def session(self, line: Line) -> None:
        """A session of pytest began, by the step of now or, where there is none, by itself."""
        if not self.name:
            self._begin("pytest", line, "pytest")

    def _begin(self, name: str, line: Line, command: str | None) -> bool:
        self.number, self.name, self.command, self.began = (
            self.number + 1,
            cut(name, 200),
            command,
            line.number,
        )
        return True
