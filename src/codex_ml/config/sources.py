"""Where in which YAML file each key is set, so that errors can point at a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from codex_ml.config.keys import all_keys, sections
from codex_ml.errors import ConfigError, did_you_mean

#: What OmegaConf takes for a value that is still to be given.
MISSING = "???"


@dataclass(frozen=True)
class Origin:
    """The place that gave a key its value."""

    place: str
    line: int | None

    def __str__(self) -> str:
        return self.place if self.line is None else f"{self.place}:{self.line}"


def check_source(file: Path, package: str) -> None:
    """Refuse a YAML file with a key that the schema does not have, or a section that is one value.

    Raises ConfigError with file, line and the nearest key; also for text that is no YAML.
    """
    known = all_keys()
    for path, line, text in _leaves(file, package):
        if path in sections() and text is not None:
            raise _no_section(path, text, place=f"{file}:{line}")
        if path in known or path in sections() or path == "experiment":
            continue
        raise ConfigError(
            f"there is no config key '{path}'",
            code="config.unknown-key",
            got=f"{file}:{line}",
            next_step=did_you_mean(path, known),
        )


def origins_of(sources: Sequence[tuple[Path, str]]) -> dict[str, Origin]:
    """The last file and line that sets each key."""
    return {
        path: Origin(str(file), line)
        for file, package in sources
        for path, line, _ in _leaves(file, package)
        if path in all_keys()
    }


def unfilled(sources: Sequence[tuple[Path, str]]) -> dict[str, Origin]:
    """The keys that the files leave at ``???``, each with the file and line that does so.

    Merging passes such a value over and keeps the one before it, which nobody asked for.
    """
    found: dict[str, Origin] = {}
    for file, package in sources:
        for path, line, text in _leaves(file, package):
            found.pop(path, None)
            if text == MISSING:
                found[path] = Origin(str(file), line)
    return found


def missing_value(path: str, origin: Origin | None) -> ConfigError:
    """The error for a key whose value is still ``???``."""
    return ConfigError(
        f"the config key '{path}' has no value: {MISSING} means a missing value",
        code="config.missing",
        got=origin,
        next_step=f"give it a value there, or {path}=VALUE on the command line",
    )


def _no_section(path: str, text: str, *, place: str) -> ConfigError:
    meaning = ", which means a missing value" if text == MISSING else ""
    return ConfigError(
        f"the config section '{path}' is one value",
        code="config.value",
        got=f"{text or 'nothing'} at {place}{meaning}",
        wanted="keys below it",
        next_step=f"write {path}: {{key: value}}, or leave it out",
    )


def yaml_error(error: yaml.YAMLError | UnicodeDecodeError, *, file: Path | None = None) -> ConfigError:
    """The error for text that is no YAML; the parser's own mark names the file unless *file* does."""
    mark = getattr(error, "problem_mark", None)
    place = file or getattr(mark, "name", None) or "a config file"
    where = f"{place}:{mark.line + 1}" if mark else str(place)
    return ConfigError(
        "a config file is not valid YAML",
        code="config.yaml",
        got=f"{where}: {getattr(error, 'problem', None) or error}",
    )


def yaml_root(file: Path) -> yaml.MappingNode | None:
    """The keys of a YAML file with their lines; None when it is empty.

    Raises ConfigError for text that is no YAML and for a file that is one value or a list.
    """
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise yaml_error(error, file=file) from error
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            "a config file holds no keys", code="config.yaml", got=str(file), wanted="key: value"
        )
    return root


def _leaves(file: Path, package: str) -> Iterator[tuple[str, int, str | None]]:
    """Path, line and text of every value; the text is None where the value is a list or a mapping."""
    root = yaml_root(file)
    if root is not None:
        yield from _walk(root, package)


def _walk(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int, str | None]]:
    if not isinstance(node, yaml.MappingNode) or (prefix in all_keys()):
        yield prefix, node.start_mark.line + 1, _text(node)
        return
    for name, value in node.value:
        if not prefix and name.value == "defaults":
            continue
        if prefix and name.value == "defaults" and isinstance(value, yaml.SequenceNode):
            continue
        path = f"{prefix}.{name.value}" if prefix else str(name.value)
        if isinstance(value, yaml.MappingNode) and path not in all_keys():
            yield from _walk(value, path)
        else:
            yield path, name.start_mark.line + 1, _text(value)


def _text(node: yaml.Node) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None
