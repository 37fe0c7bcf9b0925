"""A Dockerfile as instructions and stages, as a builder reads it."""

from __future__ import annotations

import bisect
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

_WORDS = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)")
_HEREDOC = re.compile(r"<<(-?)([\"']?)([A-Za-z_]\w*)\2")


@dataclass(frozen=True)
class Instruction:
    """*word* in upper case, *rest* on one line. *line* to *last*: its place. *plain*: no comment within."""

    word: str
    rest: str
    line: int
    last: int
    plain: bool = True

    @property
    def exec_form(self) -> list[str]:
        """The words of ``["a", "b"]``; none for what goes through a shell."""
        if not self.rest.startswith("["):
            return []
        try:
            found = json.loads(self.rest)
        except (ValueError, RecursionError):
            return []
        return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []


def is_dockerfile(name: str) -> bool:
    name = name.lower()
    return (
        name in ("dockerfile", "containerfile")
        or name.startswith(("dockerfile.", "containerfile."))
        or name.endswith(".dockerfile")
    )


def stages_of(text: str) -> list[list[Instruction]]:
    """The instructions of each stage, ``FROM`` first; nothing for what no builder would take."""
    stages: list[list[Instruction]] = []
    for one in instructions(text):
        if one.word not in _WORDS or not one.rest or (one.word == "FROM" and not source_of(one)):
            return []
        if one.word == "FROM":
            stages.append([one])
        elif stages:
            stages[-1].append(one)
        elif one.word != "ARG":
            return []
    return stages if not _dangles(text) else []


def source_of(one: Instruction) -> list[str]:
    """``IMAGE AS NAME`` of a ``FROM``."""
    return [word for word in one.rest.split() if not word.startswith("--")]


def instructions(text: str) -> Iterator[Instruction]:
    """Instructions in order, joined over their continued lines, comments and here-documents left out."""
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape, ends = _escape(lines), _Ends(lines)
    at = 0
    while at < len(lines):
        first, plain = at, True
        parts: list[str] = []
        while at < len(lines):
            line = lines[at].strip()
            at += 1
            if not line or line.startswith("#"):
                plain = plain and not line
                if parts:
                    continue
                break
            parts.append(line.removesuffix(escape).strip())
            if not line.endswith(escape):
                break
        if not parts:
            continue
        word, *rest = " ".join(parts).split(None, 1)
        given = rest[0].strip() if rest else ""
        if word.upper() in ("RUN", "COPY", "ADD"):
            at = ends.behind(at, given)
        yield Instruction(word.upper(), given, first + 1, at, plain)


class _Ends:
    """Where here-documents end: the lines by what they hold."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for at, line in enumerate(self._lines):
            for word in {line, line.lstrip("\t")}:
                found[word].append(at)
        return found

    def behind(self, at: int, rest: str) -> int:
        """The line behind the here-documents that *rest* begins; *at* where there is none."""
        for _dash, _quote, name in _HEREDOC.findall(rest):
            places = self._places.get(name, [])
            found = bisect.bisect_left(places, at)
            at = places[found] + 1 if found < len(places) else at
        return at


def _escape(lines: Sequence[str]) -> str:
    """The letter that continues a line: a backslash, unless the first comments say otherwise."""
    for line in lines:
        if not line.startswith("#"):
            break
        if match := _ESCAPE.match(line):
            return match[1]
    return "\\"


def _dangles(text: str) -> bool:
    """Whether the last line goes on, so that nothing may be put behind it."""
    lines = text.rstrip().split("\n")
    return lines[-1].endswith(_escape(lines)) and not lines[-1].lstrip().startswith("#")
