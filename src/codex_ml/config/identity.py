"""Which part of a config makes a run what it is, and how two configs differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from codex_ml.config.keys import all_keys, flatten
from codex_ml.config.schema import RunConfig
from codex_ml.config.schema.key import Role
from codex_ml.core.digest import digest_json


@dataclass(frozen=True)
class Difference:
    """One key with two values."""

    key: str
    role: Role
    left: Any
    right: Any

    def line(self) -> str:
        return f"{self.key}: {self.left!r} -> {self.right!r}"


def identity_values(config: RunConfig) -> dict[str, Any]:
    """The keys that can change a bit of the result, horizon keys left out."""
    keys = all_keys()
    return {path: value for path, value in flatten(config).items() if keys[path].role == "identity"}


def config_digest(config: RunConfig) -> str:
    """sha256 over every key of the config."""
    return digest_json(flatten(config))


def differences(
    left: RunConfig, right: RunConfig, *, roles: Iterable[Role] = ("identity", "horizon", "operational")
) -> list[Difference]:
    """Every key of the given roles whose values differ, in schema order."""
    wanted = set(roles)
    a, b = flatten(left), flatten(right)
    return [
        Difference(path, key.role, a[path], b[path])
        for path, key in all_keys().items()
        if key.role in wanted and a[path] != b[path]
    ]
