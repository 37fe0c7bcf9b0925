"""Components named by path: ``interfaces.yaml`` and ``CODEX_TOKENIZER_PATH`` and its like.

A class of one's own becomes a component under a name without a package around it:

    tokenizer: {name: mine, path: "my_module:MyTokenizer", kwargs: {lower: true}}

The file is named by ``CODEX_INTERFACES_CFG``; variables come last. The module must be importable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from codex_ml.core.digest import canonical_json
from codex_ml.core.redact import redact_value
from codex_ml.errors import ConfigError, did_you_mean
from codex_ml.registry import registry_for

FILE_VARIABLE = "CODEX_INTERFACES_CFG"
#: Section of the file, also of the variables ``CODEX_<SECTION>_PATH`` and ``_KWARGS`` -> kind.
SECTIONS = {
    "tokenizer": ("tokenizers", "TOKENIZER"),
    "reward_model": ("reward_models", "REWARD"),
    "rl_agent": ("rl_agents", "RL"),
    "metric": ("metrics", "METRIC"),
    "data_source": ("data_sources", "DATA_SOURCE"),
    "tracker": ("trackers", "TRACKER"),
}
#: The name that a component gets when none is given.
DEFAULT_NAME = "custom"
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}\Z")
_KEYS = ("name", "path", "kwargs")


@dataclass(frozen=True)
class Named:
    """One component by path, and where it was named."""

    kind: str
    name: str
    target: str
    kwargs: Mapping[str, Any]
    place: str


def register_interfaces(environ: Mapping[str, str]) -> list[Named]:
    """Register what file and variables name; asked again, the same is no conflict.

    Raises ConfigError for a file that is none, an unknown key or a path of another form, ConflictError for a
    name that is taken.
    """
    found = list(named_interfaces(environ))
    for one in found:
        registry_for(one.kind).register(one.name, one.target, kwargs=one.kwargs)
    return found


def named_interfaces(environ: Mapping[str, str]) -> Iterator[Named]:
    """Components that the file of ``CODEX_INTERFACES_CFG`` and the variables name, in this order."""
    file = environ.get(FILE_VARIABLE)
    if file:
        yield from read_interfaces(Path(file).expanduser())
    for kind, middle in SECTIONS.values():
        target = environ.get(f"CODEX_{middle}_PATH")
        if not target and environ.get(f"CODEX_{middle}_KWARGS"):
            raise _wrong(f"environment variable CODEX_{middle}_KWARGS", "no path", f"CODEX_{middle}_PATH too")
        if target:
            place = f"environment variable CODEX_{middle}_PATH"
            kwargs = _arguments(environ.get(f"CODEX_{middle}_KWARGS", ""), f"CODEX_{middle}_KWARGS")
            yield _named(kind, {"path": target, "kwargs": kwargs}, place)


def read_interfaces(file: Path) -> Iterator[Named]:
    """The components of one file, in its order."""
    try:
        body = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            "the file of interfaces cannot be read", code="config.interfaces", got=f"{file}: {error}"
        ) from error
    if not isinstance(body, dict):
        raise _wrong(f"{file}", type(body).__name__, "a mapping of sections")
    for section, value in body.items():
        if section not in SECTIONS:
            raise _wrong(f"{file}", str(section), "a section", did_you_mean(str(section), SECTIONS))
        for place, row in enumerate(value if isinstance(value, list) else [value]):
            yield _named(SECTIONS[section][0], row, f"{file}: {section}[{place}]")


def _named(kind: str, row: object, place: str) -> Named:
    if not isinstance(row, dict):
        raise _wrong(place, repr(row), "path, and perhaps name and kwargs")
    for key in row:
        if key not in _KEYS:
            raise _wrong(place, str(key), "one of name, path, kwargs", did_you_mean(str(key), _KEYS))
    target, kwargs = str(row.get("path", "")), row.get("kwargs") or {}
    name = str(row.get("name", DEFAULT_NAME))
    if not _TARGET.match(target):
        raise _wrong(place, target or "no path", "path: module:Class")
    if not _NAME.match(name):
        raise _wrong(place, f"name {name!r}", "letters, digits, dots, dashes and underscores")
    if not isinstance(kwargs, dict) or not all(isinstance(key, str) for key in kwargs):
        raise _wrong(place, repr(redact_value(kwargs)), "kwargs as a mapping of names to values")
    try:
        canonical_json(kwargs)
    except (TypeError, ValueError) as error:
        raise _wrong(place, f"kwargs: {error}", "values as JSON has them: texts, numbers, lists") from error
    return Named(kind, name, target, kwargs, place)


def _arguments(text: str, variable: str) -> dict[str, Any]:
    """The JSON object that *variable* holds. Raises ConfigError that names this variable, not the path's."""
    place, what = f"environment variable {variable}", "holds no arguments"
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise _wrong(place, str(error), "a JSON object", what=what) from error
    if not isinstance(found, dict):
        raise _wrong(place, repr(redact_value(found)), "a JSON object of names and values", what=what)
    try:
        canonical_json(found)
    except (TypeError, ValueError) as error:  # NaN and the like, which json.loads takes
        raise _wrong(place, str(error), "values as JSON has them", what=what) from error
    return found


def _wrong(
    place: str, got: str, wanted: str, next_step: str | None = None, *, what: str = "is no component by path"
) -> ConfigError:
    return ConfigError(
        f"{place} {what}",
        code="config.interfaces",
        got=got,
        wanted=wanted,
        next_step=next_step,
    )
