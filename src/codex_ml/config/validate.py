"""Decode composed values into the frozen schema; every violation names the key and where it was set."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from codex_ml.config.keys import all_keys, flatten, to_dict
from codex_ml.config.schema import RunConfig
from codex_ml.config.sources import Origin
from codex_ml.errors import ConfigError, did_you_mean


@cache
def adapter() -> TypeAdapter[RunConfig]:
    """The checker of the whole schema."""
    return TypeAdapter(RunConfig)


def decode(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> RunConfig:
    """Check types, ranges and completeness. Raises ConfigError naming the first wrong key."""
    _refuse_mixed_truth(values, origins)
    try:
        return adapter().validate_python(values)
    except ValidationError as error:
        raise _config_error(error, origins) from error


def decode_saved(values: Mapping[str, Any]) -> RunConfig:
    """The config of a saved run. Raises ConfigError when this version cannot read it.

    A run of an earlier version lacks the keys that came since: those that cannot change a run, and say only
    how it is kept and shown, are taken from the defaults.
    """
    known = flatten(values)
    lacking = [path for path, item in all_keys().items() if item.role == "operational" and path not in known]
    return decode(_filled(values, lacking) if lacking else values, {})


def _filled(values: Mapping[str, Any], lacking: Sequence[str]) -> dict[str, Any]:
    from codex_ml.config.compose import compose

    defaults, filled = to_dict(compose((), environ={}).config), copy.deepcopy(dict(values))
    for path in lacking:
        *above, name = path.split(".")
        place, source = filled, defaults
        for part in above:
            place, source = place.setdefault(part, {}), source[part]
        place[name] = source[name]
    return filled


def _refuse_mixed_truth(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> None:
    """A number written as ``true`` is a mistake, and so is ``true`` written as 1 or as the text "yes".

    Python counts true as 1, and the checker of types would read both as truth values.
    """
    for path, value in flatten(values).items():
        key = all_keys().get(path)
        if key is None:
            continue
        number_as_truth = key.holds_number and isinstance(value, bool)
        truth_as_other = key.holds_truth and not isinstance(value, bool) and value not in key.words
        if number_as_truth or truth_as_other:
            raise _wrong_value(path, shown(value), origins)


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
    in_list = " in the list" if first["loc"] and isinstance(first["loc"][-1], int) else ""
    quotes = first["type"] == "string_type" and isinstance(first["input"], int | float)
    return _wrong_value(
        path,
        shown(first["input"]) + in_list,
        origins,
        more=more,
        finite=first["type"] == "finite_number",
        next_step=f"put it in quotes: '{shown(first['input'])}'" if quotes else None,
    )


def _wrong_value(
    path: str,
    got: str,
    origins: Mapping[str, Origin],
    *,
    more: str = "",
    finite: bool = False,
    next_step: str | None = None,
) -> ConfigError:
    key, origin = all_keys().get(path), origins.get(path)
    place = "" if origin is None else f" at {origin}" if origin.line is not None else f" ({origin})"
    if key is None:
        wanted, explain = "a section: keys with their values", "see `codex-ml config schema`"
    else:
        wanted, explain = key.wanted, f"see `codex-ml config explain {path}`"
    return ConfigError(
        f"the config key '{path}' has a wrong value{place}{more}",
        code="config.value",
        got=got,
        wanted=wanted.replace("a number", "a finite number") if finite else wanted,
        next_step=next_step or explain,
    )


def shown(value: object) -> str:
    """A value as a person would write it in a config: ``null``, ``true``, ``'text'``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def _key_path(location: tuple[int | str, ...]) -> str:
    """The schema path of a pydantic location, without union tags and list positions."""
    names = [str(part) for part in location if isinstance(part, str)]
    while names and ".".join(names) not in all_keys() and len(names) > 1:
        if ".".join(names[:-1]) in all_keys():
            return ".".join(names[:-1])
        break
    return ".".join(names)
