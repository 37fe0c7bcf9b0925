"""The interpreter, the packages and the machine, as facts that hold no secret and name no person."""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import codex_ml
from codex_ml.config.keys import flatten
from codex_ml.core.digest import digest_json
from codex_ml.core.redact import redact_value
from codex_ml.provenance import machine
from codex_ml.provenance.accelerators import accelerators
from codex_ml.provenance.code import source_digest
from codex_ml.provenance.machine import cpu_name, usable_cores
from codex_ml.provenance.packages import conda_environment, distributions, lock_digests
from codex_ml.provenance.pseudonyms import Pseudonyms, pseudonyms
from codex_ml.provenance.torch_build import torch_build

__all__ = [
    "ALLOWED_VARIABLES",
    "capture_env",
    "cpu_name",
    "environment_digest",
    "source_digest",
    "usable_cores",
]

#: The only environment variables whose values are recorded; of all others only the number is.
ALLOWED_VARIABLES = re.compile(
    r"(?:OMP|MKL|KMP|GOMP|OPENBLAS|BLIS|ATEN|CUBLAS|CUDNN|NCCL|GLOO|TORCHINDUCTOR|TORCH|PYTORCH|DNNL|ONEDNN)_\w+|"
    r"CUDA_(?:VISIBLE_DEVICES|DEVICE_ORDER|LAUNCH_BLOCKING|MODULE_LOADING|CACHE_DISABLE)|NVIDIA_TF32_OVERRIDE|"
    r"PYTHON(?:HASHSEED|OPTIMIZE|DONTWRITEBYTECODE|NOUSERSITE|UTF8|MALLOC)|"
    r"(?:HF_HUB|HF_DATASETS|TRANSFORMERS)_OFFLINE|TOKENIZERS_PARALLELISM|RAYON_NUM_THREADS|"
    r"MALLOC_\w+|LANG|LC_ALL|TZ|(?:WORLD_SIZE|LOCAL_WORLD_SIZE)|"
    r"SLURM_(?:JOB_ID|ARRAY_TASK_ID|NTASKS|NNODES|CPUS_PER_TASK|GPUS_PER_NODE|JOB_PARTITION)"
)
#: Variables that a deterministic run sets where they are not set; without one the value is this.
SET_BY_US = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "TORCHINDUCTOR_DETERMINISTIC": "1"}
#: What a start says of its moment, place or call rather than of its environment, by flat key.
_OF_THE_MOMENT = re.compile(
    r"moment\..*|host|user|python\.executable|torch\.(?:threads|interop_threads)|"
    r"variables\.(?:others|recorded\.(?:SLURM_\w+|(?:LOCAL_)?WORLD_SIZE|\w+_(?:DIR|HOME|PATH)))"
)


def capture_env(
    home: Path | None = None,
    *,
    load_torch: bool = False,
    names: Pseudonyms | None = None,
    root: Path = machine.ROOT,
) -> dict[str, Any]:
    """Python, packages, locks, machine, accelerators and allow-listed variables, as JSON values.

    *home* is where runs are written (for the disk's facts). Torch is described when it is loaded, or
    with *load_torch*. *names* are the pseudonyms of host, user and home; *root* is where the system's
    files lie. What cannot be read is None.
    """
    names = names or pseudonyms(root=root)
    facts = {
        "packages": distributions(),  # redacted where they are read: many are named like secrets
        "conda": conda_environment(),
        **redact_value(_machine_facts(home or Path.cwd(), load_torch=load_torch, root=root)),
    }
    return {**names.value(facts), "host": names.host, "user": names.user}


def _machine_facts(home: Path, *, load_torch: bool, root: Path) -> dict[str, Any]:
    return {
        "python": _interpreter(),
        "system": machine.system(root),
        "cpu": machine.processor(root),
        "memory_bytes": machine.memory_bytes(root),
        "cgroup": machine.limits(root),
        "accelerators": accelerators(),
        "torch": torch_build(load=load_torch),
        "locks": lock_digests(Path.cwd()),
        "variables": recorded_variables(os.environ),
        "codex_ml": {"version": codex_ml.__version__, "source_sha256": source_digest()},
        "moment": {"boot_id": machine.boot_id(root), "disk": machine.disk(home, root=root)},
    }


def recorded_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """The allow-listed variables with their values, and how many others there are."""
    allowed = {name: value for name, value in sorted(environ.items()) if ALLOWED_VARIABLES.fullmatch(name)}
    return {"recorded": redact_value(allowed), "others": len(environ) - len(allowed)}


def environment_digest(environment: Mapping[str, Any]) -> str:
    """sha256 of the parts that stay while nothing is installed, configured or exchanged.

    One byte of a lock file or of a package's contents changes it; the free disk, the boot, the names of
    host and user and the number of a batch job do not.
    """
    return digest_json(
        {key: value for key, value in flatten(environment).items() if not is_of_the_moment(key)}
    )


def is_of_the_moment(key: str) -> bool:
    """Whether the fact under this flat key belongs to a start and not to the environment."""
    return _OF_THE_MOMENT.fullmatch(key) is not None


def _interpreter() -> dict[str, Any]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "abi": sysconfig.get_config_var("SOABI"),
        "executable": sys.executable,
        "virtual": sys.prefix != sys.base_prefix,
    }
