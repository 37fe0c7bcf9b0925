"""The flat list of every key of the schema: path, type, meaning, role."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from codex_ml.config.schema import RunConfig
from codex_ml.config.schema.key import Role


@dataclass(frozen=True)
class Key:
    """One leaf of the schema."""

    path: str
    type: Any
    doc: str
    role: Role
    limits: tuple[str, ...]
    form: str | None = None

    @property
    def wanted(self) -> str:
        """What the value must be, in plain words: ``a whole number >= 1``, ``auto, true or false``."""
        *others, last = _alternatives(self.type)
        kinds = f"{', '.join(others)} or {last}" if others else last
        if any(limit.startswith("matches") for limit in self.limits):
            return self.form or self.doc
        if any(limit.endswith("long") for limit in self.limits):
            return f"{kinds}, not empty"
        return " ".join([kinds, " and ".join(self.limits)]).strip()

    @property
    def type_name(self) -> str:
        """The type as a person would write it."""
        return _type_name(self.type)

    @property
    def holds_text(self) -> bool:
        """True when the value is free text (and may need quoting on the command line)."""
        return str in self._members

    @property
    def holds_number(self) -> bool:
        """True when the value may be a number and not a truth value."""
        return bool({int, float} & set(self._members)) and bool not in self._members

    @property
    def holds_truth(self) -> bool:
        """True when the value may be a truth value."""
        return bool in self._members

    @property
    def words(self) -> tuple[Any, ...]:
        """The fixed words that the value may be, as ``auto``."""
        found = [m for m in self._members if typing.get_origin(m) is typing.Literal]
        return tuple(word for member in found for word in typing.get_args(member))

    @property
    def _members(self) -> tuple[Any, ...]:
        return typing.get_args(self.type) if _is_union(self.type) else (self.type,)


@cache
def all_keys() -> Mapping[str, Key]:
    """Every leaf key by its dotted path, in the order of the schema."""
    return {key.path: key for key in _walk(RunConfig, "")}


@cache
def sections() -> frozenset[str]:
    """Dotted paths of every section (``train``, ``train.optimizer``, …)."""
    found: set[str] = set()
    for path in all_keys():
        parts = path.split(".")
        found.update(".".join(parts[:n]) for n in range(1, len(parts)))
    return frozenset(found)


def _walk(section: type, prefix: str) -> Iterator[Key]:
    hints = typing.get_type_hints(section, include_extras=True)
    for field in dataclasses.fields(section):
        hint, path = hints[field.name], prefix + field.name
        if dataclasses.is_dataclass(hint):
            yield from _walk(typing.cast("type", hint), path + ".")
            continue
        base, info = typing.get_args(hint)
        limits, extra = tuple(_limit(item) for item in info.metadata), info.json_schema_extra
        yield Key(path, base, info.description, extra["role"], limits, extra.get("form"))


def _limit(item: Any) -> str:
    """One of pydantic's limits as a person would write it."""
    for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
        if hasattr(item, name):
            return f"{sign} {getattr(item, name)}"
    if hasattr(item, "min_length"):
        return f"at least {item.min_length} long"
    return f"matches {item.pattern}"


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _type_name(hint: Any) -> str:
    if _is_union(hint):
        return " | ".join(_type_name(member) for member in typing.get_args(hint))
    if hint is type(None):
        return "null"
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(str(value) for value in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return f"list of {_type_name(typing.get_args(hint)[0])}"
    return str(getattr(hint, "__name__", hint))


_PLAIN = {int: "a whole number", float: "a number", str: "text", type(None): "null"}


def _alternatives(hint: Any) -> list[str]:
    """All that a value of the type *hint* may be, each in plain words."""
    if _is_union(hint):
        return [word for member in typing.get_args(hint) for word in _alternatives(member)]
    if typing.get_origin(hint) is typing.Literal:
        return [str(value) for value in typing.get_args(hint)]
    if typing.get_origin(hint) is tuple:
        return [f"a list of {' or '.join(_alternatives(typing.get_args(hint)[0]))}"]
    return ["true", "false"] if hint is bool else [_PLAIN[hint]]


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """A config (or its dict) as dotted path -> value; tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        rows: dict[str, Any] = {}
        for name, item in value.items():
            rows |= flatten(item, f"{prefix}.{name}" if prefix else str(name))
        return rows
    return {prefix: list(value) if isinstance(value, tuple) else value}


def to_dict(config: Any) -> Any:
    """A config as plain JSON values."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: to_dict(getattr(config, field.name)) for field in dataclasses.fields(config)}
    return [to_dict(item) for item in config] if isinstance(config, tuple) else config
