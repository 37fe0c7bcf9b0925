"""What the store holds, how large it is, and what no run needs any more."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.paths import Home
from codex_ml.core.publish import MANIFEST, read_json
from codex_ml.core.store import lock_path
from codex_ml.errors import IntegrityError
from codex_ml.provenance.run_directory import RunDirectory, list_runs

KINDS = ("corpora", "datasets", "tokenizers", "samples", "models", "adapters")
_DIGEST = re.compile(r"^[0-9a-f]{64}$")
_IN_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoreEntry:
    """One directory of the store. Leftovers (damaged entries, stages of killed builds) have no user."""

    kind: str
    digest: str
    path: Path
    size: int
    used_by: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}


def store_entries(home: Home, *, strict: bool = False) -> list[StoreEntry]:
    """Every entry with its size on disk and the runs that name it, largest first."""
    users = _users(home, strict=strict)
    found = [
        StoreEntry(kind, path.name, path, _size(path), tuple(sorted(users.get(path.name, ()))))
        for kind in KINDS
        if (home.store / kind).is_dir()
        for path in (home.store / kind).iterdir()
        if path.is_dir()
    ]
    return sorted(found, key=lambda entry: (-entry.size, entry.kind, entry.digest))


def collect_garbage(home: Home, *, dry_run: bool) -> list[StoreEntry]:
    """Remove every entry that no run uses; returns what was (or would be) removed.

    An entry that another process is building right now stays.
    """
    unused = [
        entry for entry in store_entries(home, strict=True) if not entry.used_by and not _being_built(entry)
    ]
    if not dry_run:
        for entry in unused:
            shutil.rmtree(entry.path)
    return unused


def _being_built(entry: StoreEntry) -> bool:
    """True while a builder holds the lock of this entry, or of the entry that this stage is for."""
    found = _IN_NAME.search(entry.digest)
    lock = lock_path(entry.path.with_name(found[0] if found else entry.digest))
    if not lock.exists():
        return False
    with lock.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _users(home: Home, *, strict: bool) -> dict[str, set[str]]:
    """Digest -> names of runs; a dataset's corpus belongs to the dataset's runs.

    A run whose manifest is damaged may use anything: with *strict* its error is raised.
    """
    users: dict[str, set[str]] = {}
    for name in list_runs(home.runs):
        try:
            record = RunDirectory(home.runs / name).read()
            inputs, model = record["inputs"], record.get("config", {}).get("model", {})
        except IntegrityError:
            if strict:
                raise
            continue
        digests = {str(inputs["dataset"]), str(inputs["tokenizer"])}
        named = (model.get("path"), (model.get("lora") or {}).get("path"))
        paths = [Path(path).expanduser() for path in named if path]
        digests |= {path.name for path in paths if path.parent.parent == home.store}
        digests |= set(_parents(home.store / "datasets" / str(inputs["dataset"])))
        for digest in digests:
            users.setdefault(digest, set()).add(name)
    return users


def _parents(dataset: Path) -> Iterable[str]:
    """Digests that a dataset's manifest names."""
    try:
        manifest = read_json(dataset / MANIFEST)
    except (FileNotFoundError, IntegrityError):
        return ()
    return [value for value in manifest.values() if isinstance(value, str) and _DIGEST.match(value)]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
