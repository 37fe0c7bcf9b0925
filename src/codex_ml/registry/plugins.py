"""Installed plugins: what their entry points name, who owns them, and which of them may be used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import metadata

from codex_ml.registry.contracts import CONTRACTS

PREFIX = "codex_ml."
#: Patterns of plugins that this process may use; unset: all, ``none``: no one.
VARIABLE = "CODEX_PLUGINS"
#: The distribution of a component that a path names (`codex_ml.config.interfaces`).
BY_PATH = "(by path)"


@dataclass(frozen=True, order=True)
class Plugin:
    """One entry point. *target* is ``module:attribute``, *distribution* and *version* whose it is."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str

    def who(self) -> str:
        """For messages: what it is and where it comes from."""
        owner = f"of {self.distribution} {self.version}" if self.distribution != BY_PATH else "by path"
        return f"'{self.name}' among the {self.kind} ({self.target} {owner})"

    def matches(self, patterns: Sequence[str]) -> bool:
        """Whether a pattern names its distribution (``my-*``) or itself (``trackers/my-sink``)."""
        names = (self.distribution, f"{self.kind}/{self.name}")
        return any(fnmatchcase(_plain(name), _plain(pattern)) for name in names for pattern in patterns)


def _plain(name: str) -> str:
    """As packages are compared: case, dots and underscores make no difference (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-")


def installed(kind: str | None = None) -> tuple[Plugin, ...]:
    """Every plugin of the environment that ``CODEX_PLUGINS`` lets in, sorted; nothing of them is imported."""
    patterns = allowed_patterns(os.environ.get(VARIABLE))
    return tuple(one for one in everything() if one.matches(patterns) and kind in (None, one.kind))


def allowed_patterns(text: str | None) -> tuple[str, ...]:
    """``a, b-*`` as patterns; None or nothing: all of them."""
    words = tuple(word.strip() for word in (text or "*").split(",") if word.strip())
    return () if words == ("none",) else words or ("*",)


@cache
def everything() -> tuple[Plugin, ...]:
    """Every plugin of the environment, whether it may be used or not."""
    found = {
        Plugin(kind, point.name, point.value.partition("[")[0].strip(), owner, version)  # without extras
        for owner, version, point in _points()
        if (kind := point.group.removeprefix(PREFIX)) in CONTRACTS
    }
    return tuple(sorted(found))


@cache
def strangers() -> tuple[str, ...]:
    """Entry points in groups of ours that do not exist; a misspelt one would be silent."""
    found = (
        point for _owner, _version, point in _points() if point.group.removeprefix(PREFIX) not in CONTRACTS
    )
    return tuple(sorted(f"{point.group}: {point.name} = {point.value}" for point in found))


def name_of(dist: metadata.Distribution) -> str | None:
    """The name of a distribution; None for what a broken uninstallation left behind."""
    try:
        return dist.metadata["Name"] or None
    except (FileNotFoundError, KeyError):  # as importlib_metadata has it, once something imported that
        return None


def _points() -> Iterator[tuple[str, str, metadata.EntryPoint]]:
    """(distribution, version, entry point) in groups of ours; the first of a name on the path is imported."""
    seen: set[str] = set()
    for dist in metadata.distributions():
        if PREFIX not in (dist.read_text("entry_points.txt") or ""):
            continue  # parsing the metadata of every package takes longer than all else of `--help`
        name = name_of(dist)
        if name and name not in seen:
            seen.add(name)
            for point in dist.entry_points:
                if point.group.startswith(PREFIX):
                    yield name, dist.version, point


def forget() -> None:
    """Look at the environment again, after an installation within this process."""
    everything.cache_clear()
    strangers.cache_clear()
