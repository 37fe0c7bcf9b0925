"""Decode composed values into the frozen schema; every violation names the key and where it was set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from codex_ml.config.keys import all_keys, flatten
from codex_ml.config.schema import RunConfig
from codex_ml.config.sources import Origin
from codex_ml.errors import ConfigError, did_you_mean


@cache
def adapter() -> TypeAdapter[RunConfig]:
    """The checker of the whole schema."""
    return TypeAdapter(RunConfig)


def decode(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> RunConfig:
    """Check types, ranges and completeness. Raises ConfigError naming the first wrong key."""
    _refuse_truth_values(values, origins)
    try:
        return adapter().validate_python(values)
    except ValidationError as error:
        raise _config_error(error, origins) from error


def decode_saved(values: Mapping[str, Any]) -> RunConfig:
    """The config of a saved run. Raises ConfigError when this version cannot read it."""
    return decode(values, {})


def _refuse_truth_values(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> None:
    """A number written as ``true`` is a mistake, though Python would count it as 1."""
    for path, value in flatten(values).items():
        key = all_keys().get(path)
        if isinstance(value, bool) and key is not None and key.holds_number:
            place = f" at {origins[path]}" if path in origins else ""
            raise ConfigError(
                f"the config key '{path}' has a wrong value{place}",
                code="config.value",
                got=repr(value),
                wanted=key.type_name,
                next_step=f"see `codex-ml config explain {path}`",
            )


def _config_error(error: ValidationError, origins: Mapping[str, Origin]) -> ConfigError:
    first = error.errors()[0]
    path = _key_path(first["loc"])
    others = len({_key_path(item["loc"]) for item in error.errors()}) - 1
    more = f" (and {others} more)" if others else ""
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return ConfigError(
            f"there is no config key '{path}'{more}",
            code="config.unknown-key",
            next_step=did_you_mean(path, all_keys()),
        )
    if first["type"] == "missing":
        return ConfigError(f"the config key '{path}' has no value{more}", code="config.missing")
    key = all_keys().get(path)
    place = f" at {origins[path]}" if path in origins else ""
    wanted = first["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return ConfigError(
        f"the config key '{path}' has a wrong value{place}{more}",
        code="config.value",
        got=repr(first["input"]),
        wanted=f"{key.type_name}: {wanted}" if key else wanted,
        next_step=f"see `codex-ml config explain {path}`",
    )


def _key_path(location: tuple[int | str, ...]) -> str:
    """The schema path of a pydantic location, without union tags and list positions."""
    names = [str(part) for part in location if isinstance(part, str)]
    while names and ".".join(names) not in all_keys() and len(names) > 1:
        if ".".join(names[:-1]) in all_keys():
            return ".".join(names[:-1])
        break
    return ".".join(names)
