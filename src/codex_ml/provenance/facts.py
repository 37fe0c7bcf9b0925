"""The few strings that name a run wherever it leaves a trace: manifests, exports, logs, trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from codex_ml.config.keys import flatten
from codex_ml.core.digest import digest_json
from codex_ml.provenance.environment import environment_digest

#: Those that tell the code: by commit where there is one, always by the digest of the source.
CODE_FACTS = ("commit", "tags", "dirty", "code_sha256")
#: Prefix of the facts in the ``__metadata__`` of a safetensors file.
METADATA_PREFIX = "codex_ml."


def run_facts(record: Mapping[str, Any], provenance: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Identity, code, seed, config, data, tokenizer, environment and grade of a run, all as text.

    *provenance* is that of the present start; None takes what the last start recorded. What is not
    known (a commit without a repository) is the empty text.
    """
    now = provenance or latest_provenance(record)
    code = now.get("code") or now.get("git") or {}  # "git": runs of before the record had a schema
    dirty = code.get("dirty")
    return {
        "identity_sha256": str(record["identity_sha256"]),
        "code_sha256": str(record["inputs"]["code"]),
        "commit": str(code.get("commit") or ""),
        "tags": ",".join(code.get("tags") or ()),
        "dirty": "" if dirty is None else str(bool(dirty)).lower(),
        "seed": str(record["config"]["seed"]),
        "config_sha256": digest_json(flatten(record["config"])),
        "data": str(record["inputs"]["dataset"]),
        "tokenizer": str(record["inputs"]["tokenizer"]),
        "environment_sha256": environment_digest(now.get("environment") or {}),
        "grade": str(record["resolved"]["grade"]),
    }


def as_metadata(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts as they stand in a safetensors file."""
    return {f"{METADATA_PREFIX}{name}": value for name, value in sorted(facts.items())}


def changes_since(first: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What *now* holds and *first* does not, or with another value, nested alike; see `removed_since`."""
    changed: dict[str, Any] = {}
    for name, after in now.items():
        before = first.get(name)
        if name in first and before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            if inner := changes_since(before, after):
                changed[name] = inner
        else:
            changed[name] = after
    return changed


def removed_since(first: Mapping[str, Any], now: Mapping[str, Any]) -> list[list[str]]:
    """The keys of *first* that *now* lacks, each as the path to it: a name of a package may hold a dot."""
    return list(_removed(first, now, ()))


def _removed(first: Mapping[str, Any], now: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[list[str]]:
    for name, before in first.items():
        if name not in now:
            yield [*above, name]
        elif isinstance(before, Mapping) and isinstance(now[name], Mapping):
            yield from _removed(before, now[name], (*above, name))


def latest_provenance(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the last start of a run recorded: that of the first, with the changes since."""
    segments = record["segments"]
    last: Mapping[str, Any] = segments[-1] if segments else {}
    merged = _merged(record["provenance"], last.get("changed", {}))
    for path in last.get("removed", ()):
        merged = _without(merged, path)
    return merged


def _without(values: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    name, *below = path
    if not below:
        return {key: value for key, value in values.items() if key != name}
    return {**values, name: _without(values[name], below)}


def _merged(first: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for name, value in changed.items():
        before = merged.get(name)
        nested = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(before, value) if nested else value  # type: ignore[arg-type]
    return merged
