"""Why two runs differ: config, inputs, environment, and the first step that came out otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from codex_ml.config.keys import all_keys, flatten
from codex_ml.provenance.environment import is_of_the_moment
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.training.journal import read_journal

#: Parts of a run's manifest beside its config, in the order of the report.
_PARTS = ("inputs", "resolved", "provenance")


@dataclass(frozen=True)
class Difference:
    """One value that differs. *role* says whether it can change a bit."""

    part: str
    key: str
    role: str
    left: Any
    right: Any


@dataclass(frozen=True)
class Comparison:
    """*diverged* is the first step of the journals that differs, with its fields; None: none does."""

    differences: list[Difference]
    common_steps: int
    diverged: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_runs(left: RunDirectory, right: RunDirectory) -> Comparison:
    """Compare two runs of this or another workspace. Raises UsageError, IntegrityError as reading does."""
    one, two = left.read(), right.read()
    found = list(_config(one["config"], two["config"]))
    for part in _PARTS:
        found.extend(_values(part, one[part], two[part]))
    common, diverged = _journals(left, right)
    return Comparison(found, common, diverged)


def _config(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[Difference]:
    a, b, keys = flatten(one), flatten(two), all_keys()
    for key in dict.fromkeys((*a, *b)):
        if a.get(key) != b.get(key):
            role = keys[key].role if key in keys else "identity"
            yield Difference("config", key, role, a.get(key), b.get(key))


def _values(part: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[Difference]:
    role = "recorded" if part == "provenance" else "identity"
    a, b = flatten(one), flatten(two)
    for key in sorted({*a, *b}):
        # The free disk of two starts differs always, and explains nothing.
        passing = key.startswith("environment.") and is_of_the_moment(key.removeprefix("environment."))
        if a.get(key) != b.get(key) and not passing:
            yield Difference(part, key, role, a.get(key), b.get(key))


def _journals(left: RunDirectory, right: RunDirectory) -> tuple[int, dict[str, Any] | None]:
    """Steps that are equal from the first on, and the first that is not in both or not equal."""
    if not (left.journal.exists() and right.journal.exists()):
        return 0, None
    common = 0
    for one, two in zip_longest(read_journal(left.journal), read_journal(right.journal)):
        if one is None or two is None:
            return common, None  # one of them is shorter, and equal so far
        fields = [name for name in one if name != "previous" and one[name] != two.get(name)]
        if fields:
            return common, {
                "step": one["step"],
                "fields": {name: [one[name], two.get(name)] for name in fields},
            }
        common += 1
    return common, None
