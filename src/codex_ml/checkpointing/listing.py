"""Look at checkpoints without loading them: rows for people, and how two differ. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codex_ml.checkpointing.layout import MODEL, OPTIMIZER, list_checkpoints
from codex_ml.checkpointing.reader import Checkpoint, open_checkpoint
from codex_ml.core.publish import MANIFEST, read_json
from codex_ml.core.safetensors import read_header
from codex_ml.errors import CheckpointLoadError, IntegrityError

#: What numpy can subtract; other dtypes are compared by their bytes.
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


@dataclass(frozen=True)
class Row:
    """One checkpoint directory; *fault* is None until it was verified and found bad."""

    name: str
    path: Path
    step: int | None
    size: int
    metrics: dict[str, float]
    scheduled: bool
    pointers: tuple[str, ...]
    weights_sha256: str | None
    fault: str | None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}


def rows(directory: Path, *, verify: bool, owner: dict[str, str] | None = None) -> list[Row]:
    """The checkpoints of a run, newest first; *verify* reads every byte of them."""
    pointing = {name: _pointer(directory / name) for name in ("latest", "best")}
    return [_row(path, pointing, verify=verify, owner=owner) for path in list_checkpoints(directory)]


def dangling(directory: Path) -> list[str]:
    """Pointers that name no checkpoint; as sentences."""
    found = []
    present = [path.name for path in list_checkpoints(directory)]
    for name in ("latest", "best"):
        target = _pointer(directory / name)
        if target is not None and target not in present:
            found.append(f"{directory / name} names no checkpoint: {target!r}")
    return found


def behind(directory: Path) -> str | None:
    """A ``latest`` that is not the newest, as a sentence.

    A kill between publishing a checkpoint and moving the pointer leaves it so; the next start moves
    it, and nothing that resumes goes by it.
    """
    present = [path.name for path in list_checkpoints(directory)]
    latest = _pointer(directory / "latest")
    if latest in present and latest != present[0]:
        return f"{directory / 'latest'} names {latest}, and {present[0]} is newer"
    return None


def set_aside(directory: Path) -> list[Path]:
    """What was moved out of the way: damaged checkpoints, and those beyond a named resume."""
    if not directory.is_dir():
        return []
    return sorted([*directory.glob(".corrupt-*"), *directory.glob(".later-*")])


def _row(path: Path, pointing: dict[str, str | None], *, verify: bool, owner: dict[str, str] | None) -> Row:
    fault = None
    manifest: Any = {}
    try:
        manifest = open_checkpoint(path, owner=owner).manifest if verify else read_json(path / MANIFEST)
    except CheckpointLoadError as error:
        fault = error.line()
    except (IntegrityError, OSError) as error:
        fault = str(error)
    if not isinstance(manifest, dict):
        manifest, fault = {}, f"{path / MANIFEST} is no manifest"
    return Row(
        name=path.name,
        path=path,
        step=manifest.get("step"),
        size=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        metrics=dict(manifest.get("metrics", {})),
        scheduled=bool(manifest.get("scheduled", True)),
        pointers=tuple(name for name, target in pointing.items() if target == path.name),
        weights_sha256=manifest.get("weights_sha256"),
        fault=fault,
    )


def _pointer(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8", errors="replace").rstrip("\n") if path.is_file() else None


@dataclass(frozen=True)
class PartDifference:
    """One tensor or counter that differs; *most* is the largest absolute difference where there is one."""

    part: str
    name: str
    what: str
    most: float | None = None


def differences(left: Checkpoint, right: Checkpoint) -> list[PartDifference]:
    """Everything in which two verified checkpoints differ: state, weights, optimizer."""
    found = [
        PartDifference("state", key, f"{old!r} -> {new!r}")
        for key, old, new in _changed(left.state(), right.state())
    ]
    if left.sharded or right.sharded:  # whole tensors exist nowhere; their digests do
        found.extend(
            PartDifference(name, "all tensors together", f"{old[:12]} -> {new[:12]}")
            for name, old, new in _changed(_digests(left), _digests(right))
        )
        return found
    for part in (MODEL, OPTIMIZER):
        found.extend(_tensor_differences(part, left.path / part, right.path / part))
    return found


def _digests(checkpoint: Checkpoint) -> dict[str, Any]:
    return {name: checkpoint.manifest[name] for name in ("weights_sha256", "optimizer_sha256")}


def _changed(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _tensor_differences(part: str, left: Path, right: Path) -> Iterator[PartDifference]:
    (one, start_one), (two, start_two) = read_header(left), read_header(right)
    for name in sorted({*one, *two}):
        if name not in one or name not in two:
            yield PartDifference(part, name, "only in the " + ("second" if name not in one else "first"))
            continue
        a, b = one[name], two[name]
        if (a["dtype"], a["shape"]) != (b["dtype"], b["shape"]):
            yield PartDifference(part, name, f"{a['dtype']} {a['shape']} -> {b['dtype']} {b['shape']}")
            continue
        x, y = _values(left, a, start_one), _values(right, b, start_two)
        if x.tobytes() != y.tobytes():
            most = None if x.dtype == np.uint8 else float(np.max(np.abs(x.astype(np.float64) - y)))
            yield PartDifference(part, name, f"{int(np.sum(x != y)):,} of {x.size:,} differ", most)


def _values(path: Path, row: dict[str, Any], start: int) -> np.ndarray:
    begin, end = row["data_offsets"]
    with path.open("rb") as stream:
        stream.seek(start + begin)
        return np.frombuffer(stream.read(end - begin), dtype=_NUMPY.get(row["dtype"], "u1"))
