"""Images that start the project's command, say whether it is well, and are no root."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from codex_ml.audit.audit import Audit
from codex_ml.audit.patching import Edit, exact_text
from codex_ml.audit.tree import File

_CMD = re.compile(r"(?im)^CMD\s+(.*)$")
_HAS = "(?im)^{}\\b"


def make(audit: Audit) -> Iterator[Edit]:
    """Up to three patches an image: ENTRYPOINT, HEALTHCHECK, USER."""
    found = {(one.rule, one.evidence.path) for one in audit.findings}
    for file in audit.index.project.dockerfiles():
        text = exact_text(audit.tree.root, file.path)
        if text is None:
            continue
        command = _command(audit, text)
        if ("container-entrypoint", file.path) in found and command:
            yield from _entrypoint(file, text, command)
        if ("container-health", file.path) in found and command:
            yield _health(file, text, command)
        if ("container-root", file.path) in found:
            yield _user(file, text)


def _health(file: File, text: str, command: list[str]) -> Edit:
    line = f"HEALTHCHECK --interval=30s --timeout=20s CMD {json.dumps([*command, '--help'])}"
    return Edit(
        f"Health check in {file.path}",
        {file.path: (text, _appended(text, line))},
        why="a dead service goes on receiving work",
        risk="it says only that the program starts: ask the service's own health endpoint once there is one",
        validation="build the image; `docker inspect` must show the container as healthy",
        rule="container-health",
    )


def _user(file: File, text: str) -> Edit:
    lines = "RUN useradd --create-home --uid 10001 app\nUSER app"
    return Edit(
        f"A user without rights in {file.path}",
        {file.path: (text, _before_start(text, lines))},
        why="one hole gives away what the host mounts",
        risk="files that belong to root cannot be written; an image without useradd needs adduser",
        validation="`docker run IMAGE id -u` prints 10001",
        rule="container-root",
    )


def _entrypoint(file: File, text: str, command: list[str]) -> Iterator[Edit]:
    """ENTRYPOINT instead of the last CMD, whose own arguments become the default ones."""
    line = f"ENTRYPOINT {json.dumps(command)}"
    match = list(_CMD.finditer(text))
    new = _appended(text, line)
    if match and _words(match[-1][1]) == command:
        new = text[: match[-1].start()] + line + text[match[-1].end(1) :]
    yield Edit(
        f"ENTRYPOINT in {file.path}",
        {file.path: (text, new)},
        why="containers start without services, and arguments replace the program",
        risk="whoever ran the image with a whole command must leave the program's name out",
        validation="build the image and run `docker run IMAGE --help`",
        rule="container-entrypoint",
    )


def _command(audit: Audit, text: str) -> list[str]:
    """What the image is for: its CMD in exec form, else the command that the package installs."""
    match = list(_CMD.finditer(text))
    if match and (words := _words(match[-1][1])):
        return words
    scripts = audit.index.project.pyproject.get("project", {}).get("scripts", {})
    return [sorted(scripts)[0]] if scripts else []


def _words(text: str) -> list[str]:
    """The words of an exec form; a shell form is left alone."""
    try:
        found = json.loads(text.strip())
    except ValueError:
        return []
    return [str(word) for word in found] if isinstance(found, list) else []


def _appended(text: str, line: str) -> str:
    """*line* at the end, with the line ends of the file."""
    end = "\r\n" if "\r\n" in text else "\n"
    body = text if text.endswith("\n") or not text else text + end
    return body + line.replace("\n", end) + end


def _before_start(text: str, lines: str) -> str:
    """*lines* before the last CMD or ENTRYPOINT, else at the end."""
    end = "\r\n" if "\r\n" in text else "\n"
    starts = [
        match.start() for word in ("CMD", "ENTRYPOINT") for match in re.finditer(_HAS.format(word), text)
    ]
    if not starts:
        return _appended(text, lines)
    at = min(starts)
    return text[:at] + lines.replace("\n", end) + end + text[at:]
