"""Every group and option that a config file lists as defaults, checked where file and line are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from codex_ml.config.groups import bases, find_config, group_options
from codex_ml.config.sources import MISSING, yaml_root
from codex_ml.errors import ConfigError, did_you_mean, nearest

_FORMS = "a list of `override /group: option`, names of options and `_self_`"


@dataclass(frozen=True)
class _Entry:
    """One group of a defaults list with the options chosen for it, and where that is written."""

    place: str
    group: str
    options: tuple[str, ...]
    replaces: bool  # written with `override`
    optional: bool
    moved: bool  # written with `@package`


def check_defaults(chosen: Mapping[str, str], *, config_dir: Path | None) -> None:
    """Follow the defaults lists of the *chosen* options (group -> option) through every file they name.

    Raises ConfigError with file, line and the nearest name for a group or option that does not exist,
    and for a list that has another form; Hydra itself names neither file nor line.
    """
    queue, seen = list(chosen.items()), set()
    while queue:
        group, option = queue.pop()
        file = find_config(f"{group}/{option}", config_dir)
        if file is None or file in seen:
            continue
        seen.add(file)
        for entry in _entries(file, group):
            _check_entry(entry, within=group, config_dir=config_dir)
            queue += [(entry.group, option) for option in entry.options]


def _entries(file: Path, group: str) -> Iterator[_Entry]:
    root = yaml_root(file)
    if root is None:
        return
    for name, value in root.value:
        if name.value != "defaults":
            continue
        if not isinstance(value, yaml.SequenceNode):
            raise _malformed(f"{file}:{name.start_mark.line + 1}")
        for node in value.value:
            entry = _entry(node, group, place=f"{file}:{node.start_mark.line + 1}")
            if entry is not None:
                yield entry


def _entry(node: yaml.Node, group: str, *, place: str) -> _Entry | None:
    """One item of the list; None for ``_self_``."""
    if isinstance(node, yaml.ScalarNode):
        if node.value == "_self_":
            return None
        path, _, package = node.value.partition("@")
        folder, _, option = _absolute(path, group).rpartition("/")
        return _Entry(place, folder, _written(option), False, False, bool(package))
    if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
        raise _malformed(place)
    name, value = node.value[0]
    *keywords, target = str(name.value).split() or [""]
    items = value.value if isinstance(value, yaml.SequenceNode) else [value]
    if not target or not all(isinstance(item, yaml.ScalarNode) for item in items):
        raise _malformed(place)
    options = [item.value for item in items if not item.tag.endswith(":null")]
    path, _, package = target.partition("@")
    return _Entry(
        place,
        _absolute(path, group),
        tuple(found for option in options for found in _written(option)),
        "override" in keywords,
        "optional" in keywords,
        bool(package),
    )


def _absolute(path: str, group: str) -> str:
    return path.removeprefix("/") if path.startswith("/") else f"{group}/{path}"


def _written(option: str) -> tuple[str, ...]:
    """The option as a file's name; nothing where it follows from another value."""
    return () if "${" in option else (option.removesuffix(".yaml"),)


def _malformed(place: str) -> ConfigError:
    return ConfigError("the defaults list has another form", code="config.yaml", got=place, wanted=_FORMS)


def _check_entry(entry: _Entry, *, within: str, config_dir: Path | None) -> None:
    """Raise ConfigError unless group and options exist, and a group that has a default is overridden."""
    if entry.group.split("/")[0] == "hydra" or entry.optional:
        return
    places = bases(config_dir)
    if not any((base / entry.group).is_dir() for base in places):
        raise _unknown_group(entry, config_dir)
    for option in entry.options:
        if option == MISSING:
            raise ConfigError(
                f"the group '{entry.group}' has no option yet: {MISSING} means a missing value",
                code="config.missing",
                got=entry.place,
                next_step="name an option",
            )
        if find_config(f"{entry.group}/{option}", config_dir) is None:
            options = group_options(config_dir).get(entry.group, [])
            raise ConfigError(
                f"the group '{entry.group}' has no option '{option}'",
                code="config.unknown-option",
                got=entry.place,
                next_step=did_you_mean(option, options) + f" (options: {', '.join(options)})",
            )
    has_default = entry.group in group_options() and entry.group not in (within, "experiment")
    if has_default and not entry.replaces and not entry.moved:
        raise ConfigError(
            f"the group '{entry.group}' has a default already",
            code="config.override",
            got=entry.place,
            next_step=f"write `override /{entry.group}: {', '.join(entry.options) or 'OPTION'}`",
        )


def _unknown_group(entry: _Entry, config_dir: Path | None) -> ConfigError:
    """A group written without the leading slash is looked for below its file's own group."""
    groups = group_options(config_dir)
    close = nearest(entry.group.rsplit("/", 1)[-1], groups)
    return ConfigError(
        f"there is no config group '{entry.group}'",
        code="config.unknown-option",
        got=entry.place,
        next_step=f"did you mean '/{close}'?" if close else "choose one of " + ", ".join(groups),
    )
