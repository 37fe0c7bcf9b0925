"""The machine: operating system, kernel, C library, processor, memory, limits, disk.

Every function that reads the system's files takes the root they lie under; what is missing there is
None, never an error.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

import psutil

from codex_ml.provenance.cgroups import cgroup_limits

ROOT = Path("/")
#: Parts of the instruction set that decide which kernels run.
_TELLING = re.compile(
    r"avx|avx2|fma|f16c|avx512(f|bw|vl|_vnni|_bf16|_fp16)|avx_vnni|amx_(tile|bf16|int8)|asimd|asimddp|sve2?|bf16|i8mm"
)


def usable_cores() -> int:
    """Physical cores this process may use: the affinity mask, without SMT siblings."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        physical = psutil.cpu_count(logical=False) or allowed
    except (OSError, psutil.Error):  # no /proc
        physical = allowed
    return max(1, min(allowed, physical))


def cpu_name(root: Path = ROOT) -> str:
    """The processor's own name, where the system tells it."""
    return _cpuinfo(root).get("model name") or platform.processor() or platform.machine()


def processor(root: Path = ROOT) -> dict[str, Any]:
    """Name, family, stepping, microcode, instruction set by digest, and cores."""
    info = _cpuinfo(root)
    flags = sorted((info.get("flags") or info.get("Features") or "").split())
    return {
        "name": cpu_name(root),
        "vendor": info.get("vendor_id") or info.get("CPU implementer"),
        "family": info.get("cpu family") or info.get("CPU architecture"),
        "model": info.get("model") or info.get("CPU part"),
        "stepping": info.get("stepping") or info.get("CPU revision"),
        "microcode": info.get("microcode"),
        "flags_sha256": hashlib.sha256(" ".join(flags).encode()).hexdigest() if flags else None,
        "isa": [flag for flag in flags if _TELLING.fullmatch(flag)],
        "cores": usable_cores(),
        "logical": os.cpu_count(),
        "machine": platform.machine(),
    }


def system(root: Path = ROOT) -> dict[str, Any]:
    """Kernel, distribution and C library."""
    name = platform.uname()
    return {
        "system": name.system,
        "kernel": name.release,
        "kernel_version": name.version,
        "distribution": _distribution(root),
        "libc": "-".join(platform.libc_ver()).strip("-") or None,
        "platform": platform.platform(),
    }


def memory_bytes(root: Path = ROOT) -> int | None:
    """All of the machine's memory."""
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def limits(root: Path = ROOT) -> dict[str, Any]:
    """Those of the control group."""
    return cgroup_limits(root)


def disk(path: Path, *, root: Path = ROOT) -> dict[str, Any]:
    """File system, size and free bytes under *path*, which need not exist yet; whether it may be written."""
    while not path.exists() and path != path.parent:
        path = path.parent
    facts: dict[str, Any] = {
        "filesystem": _filesystem(path.resolve(), root),
        "total_bytes": None,
        "free_bytes": None,
    }
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return facts
    return facts | {
        "total_bytes": usage.total,
        "free_bytes": usage.free,
        "writable": os.access(path, os.W_OK),
    }


def boot_id(root: Path = ROOT) -> str | None:
    """The kernel's random id of this boot."""
    return next(iter(_lines(root / "proc/sys/kernel/random/boot_id")), None)


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first processor's rows."""
    info: dict[str, str] = {}
    for line in _lines(root / "proc/cpuinfo"):
        name, mark, value = line.partition(":")
        if not mark and info:
            break
        info.setdefault(name.strip(), value.strip())
    return info


def _distribution(root: Path) -> str | None:
    for line in _lines(root / "etc/os-release"):
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return None


def _filesystem(path: Path, root: Path) -> str | None:
    """The type of the mount that *path* lies on."""
    best: tuple[int, str] | None = None
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = fields[4].replace("\\040", " ")
        if path.is_relative_to(point) and (best is None or len(point) >= best[0]):
            best = len(point), after.split()[0]
    return best[1] if best else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
