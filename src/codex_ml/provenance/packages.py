"""What is installed: distributions with version, origin and content digest; conda's packages; locks."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from codex_ml.core.digest import canonical_json, digest_bytes, digest_file, digest_tree
from codex_ml.core.redact import redact_text, redact_value
from codex_ml.provenance.code import without_user
from codex_ml.registry import registry_for
from codex_ml.registry.plugins import BY_PATH, Plugin, name_of

_LOCKS = (
    "*.lock",
    "requirements*.txt",
    "conda-lock.yml",
    "conda-lock.yaml",
    "pylock*.toml",
    "environment*.y*ml",
)
#: Packages whose contents can change a bit of a run; the rest only of one on a pretrained model.
COMPUTING = ("numpy", "tiktoken", "tokenizers", "torch", "triton")
COMPUTING_PRETRAINED = ("accelerate", "bitsandbytes", "peft", "sentencepiece", "transformers")
_MOST_LOCKS, _LOCK_BYTES = 20, 1 << 24
#: Rows of RECORD that tell how and where something was installed, not what.
_OF_THIS_PLACE = (
    b"/INSTALLER,",
    b"/REQUESTED,",
    b"/direct_url.json,",
    b"/uv_cache.json,",
    b"/uv_build.json,",
)


def distributions() -> dict[str, dict[str, Any]]:
    """Name -> version, origin and digest of the contents; what a broken uninstallation left has no name.

    ``record_sha256`` covers the hashes that RECORD lists, in order of the paths, without scripts and
    marks of the installer, so that one wheel gives one digest wherever it is installed.
    """
    found: dict[str, dict[str, Any]] = {}
    for dist in metadata.distributions():
        name = name_of(dist)
        if name and name not in found:  # the first on the path is the one that is imported
            found[name] = {"version": dist.version, **_origin(dist), "record_sha256": _contents(dist)}
    return dict(sorted(found.items(), key=lambda row: row[0].lower()))


def libraries(*, pretrained: bool) -> dict[str, str]:
    """Name -> version and content digest of the installed packages that a run computes with.

    Part of a run's identity: what a lock file pins, by what was installed and not by the file.
    """
    found = {}
    for name in (*COMPUTING, *(COMPUTING_PRETRAINED if pretrained else ())):
        try:
            dist = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = f"{dist.version} {(_contents(dist) or 'unknown')[:16]}"
    return found


def plugin_facts(plugins: Sequence[Plugin]) -> list[dict[str, str]]:
    """Name, version and content digest of each plugin that a run is built from.

    The contents are those of its distribution; of a distribution without hashes (an editable installation)
    and of a component by path those of the module itself, of the latter with the arguments that it gets.
    """
    return [
        {**dataclasses.asdict(one), "sha256": (_distribution(one) or _of_module(one) or "unknown")}
        for one in plugins
    ]


def _distribution(plugin: Plugin) -> str | None:
    if plugin.distribution == BY_PATH:
        return None
    dist = metadata.distribution(plugin.distribution)
    direct = dist.read_text("direct_url.json") or ""
    return None if '"editable": true' in direct or '"editable":true' in direct else _contents(dist)


def _of_module(plugin: Plugin) -> str | None:
    """Of the module, and of the arguments where there are some; secrets among them do not count."""
    found = _module(plugin)
    arguments = registry_for(plugin.kind).arguments(plugin.name) if plugin.distribution == BY_PATH else {}
    if not arguments:
        return found
    return digest_bytes(f"{found} {canonical_json(redact_value(dict(arguments), known=False))}".encode())


def _module(plugin: Plugin) -> str | None:
    """Of the top package's sources, or of the one module that it is."""
    spec = find_spec(plugin.target.partition(":")[0].partition(".")[0])
    if spec is not None and spec.submodule_search_locations:
        return digest_tree(Path(next(iter(spec.submodule_search_locations))), pattern="**/*.py")
    return digest_file(Path(spec.origin)) if spec is not None and spec.has_location and spec.origin else None


def _origin(dist: metadata.Distribution) -> dict[str, Any]:
    """Who installed it, and from where when it came from no index."""
    installer = (dist.read_text("INSTALLER") or "").strip() or None
    text = dist.read_text("direct_url.json")
    if text is None:
        return {"installer": installer, "origin": "index"}
    try:
        direct = json.loads(text)
        address = redact_text(without_user(str(direct["url"])))
    except (ValueError, KeyError, TypeError):
        return {"installer": installer, "origin": "unreadable direct_url.json"}
    commit = (direct.get("vcs_info") or {}).get("commit_id")
    mark = " (editable)" if (direct.get("dir_info") or {}).get("editable") else ""
    return {"installer": installer, "origin": f"{address}{f'@{commit}' if commit else ''}{mark}"}


def _contents(dist: metadata.Distribution) -> str | None:
    text = dist.read_text("RECORD")
    if text is None:
        return None
    rows = [
        row
        for row in text.encode().splitlines()
        if b",sha256=" in row
        and not row.startswith((b"..", b"/"))
        and not any(mark in row for mark in _OF_THIS_PLACE)
    ]
    return digest_bytes(b"\n".join(sorted(rows)))


def lock_digests(directory: Path) -> dict[str, str]:
    """Name -> sha256 of the lock and environment files that lie in *directory*."""
    names = sorted({path for pattern in _LOCKS for path in _matching(directory, pattern)})
    return {path.name: digest_file(path) for path in names[:_MOST_LOCKS]}


def _matching(directory: Path, pattern: str) -> Iterator[Path]:
    try:
        yield from (
            path
            for path in directory.glob(pattern)
            if path.is_file() and os.access(path, os.R_OK) and path.stat().st_size <= _LOCK_BYTES
        )
    except OSError:
        return


def conda_environment(prefix: Path | None = None) -> dict[str, Any] | None:
    """Name, channels and packages of the conda environment around this interpreter; None outside of one."""
    named = os.environ.get("CONDA_PREFIX")
    prefixes = [prefix] if prefix else [Path(sys.prefix), *([Path(named)] if named else [])]
    folder = next((path / "conda-meta" for path in prefixes if (path / "conda-meta").is_dir()), None)
    if folder is None:
        return None
    packages = {}
    for path in sorted(folder.glob("*.json")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            packages[str(row["name"])] = {
                "version": str(row["version"]),
                "build": str(row.get("build") or row.get("build_string") or ""),
                "channel": _channel(str(row.get("channel") or "")),
                "sha256": row.get("sha256"),
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            packages[path.stem] = {"version": "unreadable", "build": "", "channel": "", "sha256": None}
    return {"name": folder.parent.name, "packages": packages}


def _channel(address: str) -> str:
    """A channel without user-info and without the token that private ones carry in their path."""
    return redact_text(re.sub(r"/t/[^/]+/", "/t/[redacted:conda-token]/", without_user(address)))
