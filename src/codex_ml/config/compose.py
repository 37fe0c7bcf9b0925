"""From YAML groups, experiment, environment and command line to one frozen RunConfig.

The only importer of hydra and omegaconf. Precedence: defaults < experiment < CODEX_* < command line.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from codex_ml.config.check import check_config
from codex_ml.config.defaults import check_defaults
from codex_ml.config.environment import environment_values, variable_of
from codex_ml.config.groups import configs_directory, find_config, group_options, plugin_directories
from codex_ml.config.interfaces import register_interfaces
from codex_ml.config.keys import all_keys, flatten, sections
from codex_ml.config.schema import RunConfig
from codex_ml.config.sources import (
    MISSING,
    Origin,
    check_source,
    missing_value,
    origins_of,
    unfilled,
    yaml_error,
)
from codex_ml.config.space import Choice, Dimension, Interval
from codex_ml.config.validate import decode
from codex_ml.errors import ConfigError, did_you_mean

_ROOT = "config"


@dataclass(frozen=True)
class Composed:
    """A config, and where each of its values comes from."""

    config: RunConfig
    origins: Mapping[str, Origin]
    overrides: tuple[str, ...]


def compose(
    overrides: Sequence[str] = (),
    *,
    config_dir: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Composed:
    """Compose, check and freeze one config.

    *overrides* are ``key=value`` and ``group=option`` words in Hydra's grammar; *config_dir* adds a
    folder of further groups (``experiment/mine.yaml``). Raises ConfigError (unknown key or option
    with the nearest name, file and line; wrong type or range; contradiction) and NotFoundError
    (unknown component name).
    """
    values, origins, words = _compose_values(overrides, config_dir=config_dir, environ=environ)
    register_interfaces(environ)
    config = decode(values, origins)
    check_config(config)
    return Composed(config=config, origins=origins, overrides=tuple(words))


def _compose_values(
    overrides: Sequence[str], *, config_dir: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Origin], list[str]]:
    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError("the config directory does not exist", code="config.directory", got=str(config_dir))
    groups = group_options(config_dir)
    typed = [_quote_text(word) for word in overrides]
    parsed = [_parse(word, groups) for word in typed]
    check_defaults(
        {item.key_or_group: str(item.value()) for item in parsed if item.key_or_group in groups},
        config_dir=config_dir,
    )
    from_environment = environment_values(environ)
    extra = [f"{path}={_quoted(path, text)}" for path, text in from_environment.items()]
    places = [*plugin_directories(), *([config_dir.absolute()] if config_dir else [])]
    listed = ",".join(_hydra_text(f"file://{place}") for place in places)
    search = [f"hydra.searchpath=[{listed}]"] if places else []
    values, sources = _merge([*search, *extra, *_without_unset(typed, parsed)], config_dir)
    origins = origins_of(sources)
    origins |= {path: Origin(f"environment variable {variable_of(path)}", None) for path in from_environment}
    for override in parsed:
        origins |= _override_origins(override)
    _refuse_missing(values, origins, unfilled(sources))
    return values, origins, list(overrides)


def _merge(words: list[str], config_dir: Path | None) -> tuple[dict[str, Any], list[tuple[Path, str]]]:
    """The values that Hydra makes of the *words*, and the files that they come from."""
    try:
        with initialize_config_dir(str(configs_directory()), version_base="1.3"):
            sources = _source_files(words, config_dir)
            for file, package in sources:
                check_source(file, package)
            composed = hydra_compose(_ROOT, overrides=words)
        values = OmegaConf.to_container(composed, resolve=True)
    except yaml.YAMLError as error:
        raise yaml_error(error) from error
    except (HydraException, OmegaConfBaseException) as error:
        key = getattr(error, "full_key", None)
        raise ConfigError(
            "the config cannot be composed",
            code="config.compose",
            got=str(error).splitlines()[0] + (f" (in {key})" if key else ""),
            next_step="see docs/configuration.md for the forms of an override",
        ) from error
    assert isinstance(values, dict)
    values.pop("experiment", None)
    return {str(name): value for name, value in values.items()}, sources


def _refuse_missing(
    values: Mapping[str, Any], origins: Mapping[str, Origin], left: Mapping[str, Origin]
) -> None:
    """Refuse a key whose last source says ``???``: *left* holds what the files leave so."""
    for path, origin in left.items():
        if origins.get(path) == origin:
            raise missing_value(path, origin)
    for path, value in flatten(values).items():
        if value == MISSING:
            raise missing_value(path, origins.get(path))


def _source_files(words: list[str], config_dir: Path | None) -> list[tuple[Path, str]]:
    """Every YAML file of the composition in order, with the key path it is merged at."""
    loader = GlobalHydra.instance().config_loader()
    defaults = loader.compute_defaults_list(_ROOT, words, RunMode.RUN)
    files = []
    for default in defaults.defaults:
        if default.config_path is None or default.config_path.startswith("hydra/"):
            continue
        file = find_config(default.config_path, config_dir)
        if file is not None:
            files.append((file, default.package or ""))
    return files


def _quote_text(word: str) -> str:
    """Quote the value of a free-text key, so that any path can be written as it is."""
    name, equals, value = word.partition("=")
    key = all_keys().get(name.lstrip("+"))
    if not equals or key is None or not key.holds_text or value[:1] in "'\"" or value == "null":
        return word
    return word if "${" in value else f"{name}={_quoted(key.path, value)}"


def _quoted(path: str, text: str) -> str:
    if not all_keys()[path].holds_text or text == "null":
        return text
    return _hydra_text(text)


def _hydra_text(text: str) -> str:
    """*text* as a quoted string of Hydra's grammar, where a backslash counts before a quote only."""
    return (
        "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text, flags=re.DOTALL) + "'"
    )


def _without_unset(words: Sequence[str], parsed: Sequence[Override]) -> list[str]:
    """The words without ``experiment=null`` and the experiments before it: Hydra knows no such word."""
    unset = [n for n, item in enumerate(parsed) if item.key_or_group == "experiment" and item.value() is None]
    last = unset[-1] if unset else -1
    return [word for n, word in enumerate(words) if n > last or parsed[n].key_or_group != "experiment"]


def dimension_of(word: str) -> Dimension | None:
    """What an override in Hydra's grammar for several values varies; None for a word with one value.

    ``key=a,b``, ``choice(…)``, ``range(…)``, ``interval(low, high)`` and ``tag(log, interval(…))``. Raises
    ConfigError for a word that is no override.
    """
    override = _override(_quote_text(word))
    if not override.is_sweep_override():
        return None
    value, key = override.value(), override.get_key_element()
    if isinstance(value, IntervalSweep):
        known = all_keys().get(override.key_or_group)
        whole = known is not None and known.type is int  # the grammar reads the ends as floats
        low, high, log = float(value.start or 0), float(value.end or 0), "log" in value.tags
        if not low < high or (log and low <= 0):
            raise ConfigError(
                f"'{word}' is no interval",
                code="sweep.interval",
                got=f"{low:g} to {high:g}",
                wanted="the lower end first" + (", above 0 for a logarithm" if log else ""),
                next_step="as in interval(1e-4, 1e-2)",
            )
        return Interval(key, low, high, whole, log)
    return Choice(key, _values(word, override))


#: More values of one key are no grid that anybody waits for.
_MOST_VALUES = 10_000


def _values(word: str, override: Override) -> tuple[str, ...]:
    """The values that an override names. Raises ConfigError for none, too many, or one that comes twice."""
    try:
        found = tuple(islice(override.sweep_string_iterator(), _MOST_VALUES + 1))
    except (HydraException, ValueError, IndexError, ArithmeticError) as error:
        raise ConfigError(
            f"'{word}' names no values",
            code="sweep.values",
            got=" ".join(str(error).split())[:200],
            next_step="as in train.lr=1e-3,3e-4 or seed=range(0,3)",
        ) from error
    if not found or len(found) > _MOST_VALUES:
        raise ConfigError(
            f"'{word}' names {'no value' if not found else f'more than {_MOST_VALUES:,} values'}",
            code="sweep.values",
            next_step="as in seed=range(0,3); sample an interval with --trials for many values",
        )
    (twice, times), *_ = Counter(found).most_common(1)
    if times > 1:
        raise ConfigError(
            f"'{word}' names {twice} twice", code="sweep.twice", next_step="give each value once"
        )
    return found


def _override(word: str) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        raise ConfigError(
            f"'{word}' is not an override",
            code="config.override",
            got=str(error).splitlines()[0],
            wanted="key=value or group=option",
            next_step="see docs/configuration.md for the forms of an override",
        ) from error


def _parse(word: str, groups: Mapping[str, Sequence[str]]) -> Override:
    """Parse one override and refuse what names nothing."""
    override = _override(word)
    name = override.key_or_group
    if override.is_delete():
        raise ConfigError(f"'{word}' removes a key and every key is needed", code="config.override")
    if override.is_sweep_override():
        raise ConfigError(
            f"'{word}' gives several values",
            code="config.override",
            wanted="one value per run",
            next_step="run them all with `codex-ml sweep`",
        )
    if override.is_add() and name in all_keys():
        raise ConfigError(
            f"'{word}' adds a key that exists", code="config.override", next_step=f"write {word.lstrip('+')}"
        )
    if name in groups:
        _check_option(name, override.value(), groups[name])
        return override
    value = override.value()
    for path in flatten({name: value}) if isinstance(value, dict) else [name]:
        if path not in all_keys() and path not in sections():
            raise ConfigError(
                f"there is no config key '{path}'",
                code="config.unknown-key",
                got=f"'{word}' on the command line",
                next_step=did_you_mean(path, [*all_keys(), *groups]),
            )
    return override


def _check_option(group: str, option: object, options: Sequence[str]) -> None:
    if isinstance(option, str) and option in options:
        return
    if option is None and group == "experiment":
        return
    raise ConfigError(
        f"the group '{group}' has no option '{option}'",
        code="config.unknown-option",
        next_step=did_you_mean(str(option), options) + f" (options: {', '.join(options)})",
    )


def _override_origins(override: Override) -> dict[str, Origin]:
    value = override.value()
    paths = flatten({override.key_or_group: value}) if isinstance(value, dict) else [override.key_or_group]
    return {path: Origin("command line", None) for path in paths if path in all_keys()}
