"""Images that start the project's command, say whether it is well, and are no root."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from codex_ml.audit.containers import Image, image_of, is_user
from codex_ml.audit.dockerfile import Instruction
from codex_ml.audit.edits import Change, Code
from codex_ml.audit.patch_context import Edit, PatchContext
from codex_ml.audit.patches.commands import is_program, known_command, parses_arguments

_ADDS_A_USER = re.compile(r"\b(useradd|adduser)\b")
_LONE_CR = re.compile(r"\r(?!\n)")  # no line ends there
#: What they do hangs on the user that is there: they want root.
_BUILDS = frozenset({"RUN", "COPY", "ADD", "WORKDIR", "SHELL", "USER", "ONBUILD", "VOLUME"})
_MAKE_USER = {
    "posix": "RUN useradd --create-home --uid 10001 app",
    "busybox": "RUN adduser -D -u 10001 app",
}


def make(context: PatchContext) -> Iterator[Edit]:
    """Up to three patches an image: ENTRYPOINT, HEALTHCHECK, USER. All change the last stage alone."""
    found = {(one.rule, one.evidence.path) for one in context.audit.findings}
    makers = {"container-entrypoint": _entrypoint, "container-health": _health, "container-root": _user}
    for file in context.audit.index.project.dockerfiles():
        code = context.code(file.path)
        image = image_of(code.text) if code is not None and not _LONE_CR.search(code.text) else None
        for rule, maker in makers.items():
            if code is not None and image is not None and (rule, file.path) in found:
                edit = maker(context, code, image)
                if edit is not None:
                    yield edit


def _entrypoint(context: PatchContext, code: Code, image: Image) -> Edit | None:
    """ENTRYPOINT in the place of the CMD that the last stage has, or behind one that starts nothing."""
    command, start = known_command(context.audit, image), image.last("CMD")
    if not command or not image.shell:  # what has no shell has an entry point of its own, or one program
        return None
    line = f"ENTRYPOINT {json.dumps(command)}"
    if start is None:
        change = _appended(code, line)
    elif start in image.own and start.plain and is_program(context.audit, start.exec_form):
        change = Change(code.line_start(start.line), code.line_end(start.last), line)
    else:
        return None
    return Edit(
        f"ENTRYPOINT in {code.path}",
        {code.path: (code.text, code.changed([change]) or code.text)},
        why="containers start without services, and arguments replace the program",
        risk="whoever ran the image with a whole command must leave the program's name out",
        validation="build the image and run `docker run IMAGE --help`",
        rule="container-entrypoint",
    )


def _health(context: PatchContext, code: Code, image: Image) -> Edit | None:
    """None where the command is not known to parse its arguments: ``--help`` would start the work again."""
    start = image.last("ENTRYPOINT")
    command = start.exec_form if start is not None else known_command(context.audit, image)
    switched_off = image.last("HEALTHCHECK") is not None
    if switched_off or not image.shell or not parses_arguments(context.audit, code.path, command):
        return None
    line = f"HEALTHCHECK --interval=30s --timeout=20s CMD {json.dumps([*command, '--help'])}"
    return Edit(
        f"Health check in {code.path}",
        {code.path: (code.text, code.changed([_appended(code, line)]) or code.text)},
        why="a dead service goes on receiving work",
        risk="it says only that the program starts: ask the service's own health endpoint once there is one",
        validation="build the image; `docker inspect` must show the container as healthy",
        rule="container-health",
    )


def _user(_context: PatchContext, code: Code, image: Image) -> Edit | None:
    """None where a user cannot be made (no shell), or one may be there under another name."""
    known = [one.rest for one in image.every if one.word == "USER" and is_user(one)]
    if not image.shell or (_ADDS_A_USER.search(code.text) and not known):
        return None
    rows = [f"USER {known[-1]}"] if known else [_MAKE_USER[image.shell], "USER app"]
    return Edit(
        f"A user without rights in {code.path}",
        {code.path: (code.text, code.changed([_before_the_start(code, image, rows)]) or code.text)},
        why="one hole gives away what the host mounts",
        risk="files that belong to root cannot be written; a volume or port below 1024 may need rights",
        validation="`docker run IMAGE id -u` prints another number than 0",
        rule="container-root",
    )


def _before_the_start(code: Code, image: Image, rows: list[str]) -> Change:
    """*rows* before the CMD or ENTRYPOINT of the last stage; at the end where building goes on after it."""
    first: Instruction | None = None
    for one in image.own:
        if one.word in ("CMD", "ENTRYPOINT"):
            first = first or one
        elif one.word in _BUILDS:
            first = None
    if first is None:
        return _appended(code, *rows)
    at, newline = code.line_start(first.line), code.newline(first.line)
    return Change(at, at, "".join(row + newline for row in rows))


def _appended(code: Code, *rows: str) -> Change:
    """*rows* at the end, with the line ends of the file."""
    end, newline = len(code.text), code.newline(1)
    before = "" if code.text.endswith("\n") else newline
    return Change(end, end, before + "".join(row + newline for row in rows))
