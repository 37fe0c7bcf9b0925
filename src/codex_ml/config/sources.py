"""Where in which YAML file each key is set, so that errors can point at a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from codex_ml.config.keys import all_keys, sections
from codex_ml.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Origin:
    """The place that gave a key its value."""

    place: str
    line: int | None

    def __str__(self) -> str:
        return self.place if self.line is None else f"{self.place}:{self.line}"


def check_source(file: Path, package: str) -> None:
    """Refuse a YAML file with a key that the schema does not have.

    Raises ConfigError with file, line and the nearest key; also for text that is no YAML.
    """
    known = all_keys()
    for path, line in _leaves(file, package):
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
        for path, line in _leaves(file, package)
        if path in all_keys()
    }


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


def _leaves(file: Path, package: str) -> Iterator[tuple[str, int]]:
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise yaml_error(error, file=file) from error
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            "a config file holds no keys", code="config.yaml", got=str(file), wanted="key: value"
        )
    yield from _walk(root, package)


def _walk(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    if not isinstance(node, yaml.MappingNode) or (prefix in all_keys()):
        yield prefix, node.start_mark.line + 1
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
            yield path, name.start_mark.line + 1
