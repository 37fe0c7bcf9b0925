"""The limits of the control group around this process, in both versions of control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: What the first version says where nothing is limited: the largest multiple of a page.
_NO_LIMIT = 1 << 60


def cgroup_limits(root: Path = Path("/")) -> dict[str, Any]:
    """Version, memory in bytes, CPUs as a number and the CPUs allowed; None where nothing is limited."""
    groups = _groups(root / "proc/self/cgroup")
    base = root / "sys/fs/cgroup"
    if (base / "cgroup.controllers").is_file():
        folders = list(_upwards(base, groups.get("", "/")))
        return {
            "version": 2,
            "memory_bytes": _least(_number(folder / "memory.max") for folder in folders),
            "cpus": _least(_quota(folder / "cpu.max") for folder in folders),
            "cpuset": _first(folder / "cpuset.cpus.effective" for folder in folders),
        }
    found = {name: list(_upwards(base / name, groups.get(name, "/"))) for name in ("memory", "cpu", "cpuset")}
    if not any(folder.is_dir() for folders in found.values() for folder in folders):
        return {"version": None, "memory_bytes": None, "cpus": None, "cpuset": None}
    memory = _least(_number(folder / "memory.limit_in_bytes") for folder in found["memory"])
    return {
        "version": 1,
        "memory_bytes": None if memory is None or memory >= _NO_LIMIT else memory,
        "cpus": _least(_quota_of_two(folder) for folder in found["cpu"]),
        "cpuset": _first(folder / "cpuset.cpus" for folder in found["cpuset"]),
    }


def _groups(path: Path) -> dict[str, str]:
    """Controller -> path of this process's group; the second version stands under the empty name."""
    rows = (line.split(":", 2) for line in _text(path).splitlines() if line.count(":") >= 2)
    return {name: group for _, names, group in rows for name in names.split(",")}


def _upwards(base: Path, group: str) -> Iterator[Path]:
    """The group's folder and those above; a container may see but the topmost."""
    folder = base / group.lstrip("/")
    while folder.is_relative_to(base):
        yield folder
        folder = folder.parent


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _quota(path: Path) -> float | None:
    quota, _, period = _text(path).partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _quota_of_two(folder: Path) -> float | None:
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period else None


def _least(values: Iterator[Any]) -> Any:
    return min((value for value in values if value is not None), default=None)


def _first(paths: Iterator[Path]) -> str | None:
    return next((text for path in paths if (text := _text(path))), None)
