"""The image that a Dockerfile ends in: what it inherits, runs as, starts and asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from codex_ml.audit.dockerfile import Instruction, instructions, source_of, stages_of

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}$]*))?\}|(\w+))")
_ROOT = frozenset({"root", "0"})


@dataclass(frozen=True)
class Image:
    """The last stage and those that it is made from. *base*: the image at their root, variables filled in."""

    base: str
    line: int
    own: tuple[Instruction, ...]
    every: tuple[Instruction, ...]

    def last(self, word: str) -> Instruction | None:
        """The instruction that counts: a later one takes the place of an earlier."""
        return next((one for one in reversed(self.every) if one.word == word), None)

    @property
    def user(self) -> Instruction | None:
        """Who it runs as; None for root."""
        found = self.last("USER")
        return found if found is not None and is_user(found) else None

    @property
    def health(self) -> Instruction | None:
        """How it is asked whether it is well; ``NONE`` is no way."""
        found = self.last("HEALTHCHECK")
        return None if found is None or found.rest.split()[0].upper() == "NONE" else found

    @cached_property
    def shell(self) -> str:
        """``busybox``, ``posix``, or nothing where there is none, or not the one that is known."""
        name, _, tag = self.base.lower().rpartition("/")[2].partition(":")
        if self.last("SHELL") is not None or "$" in self.base or name == "scratch":
            return ""
        if re.search(r"distroless|chainguard|cgr\.dev|windows|nanoserver|servercore", self.base.lower()):
            return ""
        return "busybox" if name in ("alpine", "busybox") or "alpine" in tag or "busybox" in tag else "posix"

    @property
    def is_root(self) -> bool:
        """Whether root starts it: nobody else is named, neither here nor by the base."""
        found = self.last("USER")
        return "nonroot" not in self.base.lower() if found is None else not is_user(found)


def is_user(one: Instruction) -> bool:
    """Whether ``USER`` names somebody else than root."""
    name = one.rest.partition(":")[0].strip("\"' ")
    return bool(name) and name.lower() not in _ROOT


def image_of(text: str) -> Image | None:
    """The image that is built when no stage is asked for; None for what is no Dockerfile."""
    stages = stages_of(text)
    if not stages:
        return None
    arguments = dict(_arguments(instructions(text)))
    names: dict[str, tuple[str, tuple[Instruction, ...]]] = {}
    base = ""
    every: tuple[Instruction, ...] = ()
    for stage in stages:
        words = source_of(stage[0])
        base = _VARIABLE.sub(lambda match: _value(match, arguments), words[0])
        before: tuple[Instruction, ...] = ()
        base, before = names.get(base.lower(), (base, ()))
        every = (*before, *stage[1:])
        if len(words) == 3 and words[1].upper() == "AS":
            names[words[2].lower()] = base, every
    return Image(base, stages[-1][0].line, tuple(stages[-1][1:]), every)


def _arguments(every: Iterator[Instruction]) -> Iterator[tuple[str, str]]:
    """``ARG name=value`` before the first stage: what ``FROM`` may use."""
    for one in every:
        if one.word == "FROM":
            return
        name, given, value = one.rest.partition("=")
        if given:
            yield name.strip(), value.strip("\"' ")


def _value(match: re.Match[str], arguments: dict[str, str]) -> str:
    name = match[1] or match[3]
    return arguments.get(name) or match[2] or match[0]
