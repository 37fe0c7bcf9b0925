"""The interpreter, the packages and the machine, as facts that hold no secret."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import codex_ml
from codex_ml.core.digest import digest_tree

#: The only environment variables whose values are recorded.
ALLOWED_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "TORCHINDUCTOR_DETERMINISTIC",
)


def capture_env() -> dict[str, Any]:
    """Python, platform, packages, allow-listed variables, memory and CPU of this machine."""
    return {
        "python": sys.version.split()[0],
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "packages": _packages(),
        "variables": {name: os.environ[name] for name in ALLOWED_VARIABLES if name in os.environ},
        "codex_ml": {"version": codex_ml.__version__, "source_sha256": source_digest()},
    }


def _packages() -> dict[str, str]:
    """Name -> version of what is installed; what an interrupted uninstallation left has no name."""
    named = {dist.name: dist.version for dist in metadata.distributions() if dist.metadata["Name"]}
    return dict(sorted(named.items(), key=lambda row: row[0].lower()))


def source_digest() -> str:
    """Digest of the installed package: its code and its shipped configuration."""
    return digest_tree(Path(codex_ml.__file__).parent)


def usable_cores() -> int:
    """Physical cores this process may use: the affinity mask, without SMT siblings."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical))


def cpu_name() -> str:
    """The processor's own name, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
