"""In what two environments differ, and whether a difference can change a bit of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from codex_ml.config.keys import flatten
from codex_ml.errors import IntegrityError
from codex_ml.provenance.environment import SET_BY_US, is_of_the_moment
from codex_ml.provenance.packages import COMPUTING, COMPUTING_PRETRAINED

#: bits: may change a result. recorded: is written down and computes nothing. moment: differs at each start.
Effect = Literal["bits", "recorded", "moment"]
_COMPUTING = "|".join(
    (*COMPUTING, *COMPUTING_PRETRAINED, "safetensors", "nvidia-[a-z0-9-]+", "intel-openmp", "mkl", "pyarrow")
)
_BITS = re.compile(
    rf"packages\.(?:{_COMPUTING})(?:\.(?:version|record_sha256))?|"
    r"conda\.packages\.(?:mkl|openblas|libblas|pytorch|numpy|cudatoolkit|cuda-[\w-]+)\.(?:version|build)|"
    r"torch(?:\.(?:version|commit|config_sha256|parallel_backend|cpu_capability|cuda|hip|cudnn|nccl))?|"
    r"cpu\.(?:name|vendor|family|model|stepping|flags_sha256|isa|machine)|"
    r"accelerators\.(?:gpus|driver|cuda_driver)|python\.(?:version|implementation)|system\.libc|"
    r"codex_ml\.source_sha256|code\.source_sha256|"
    r"variables\.recorded\.(?:ATEN|CUBLAS|CUDNN|DNNL|ONEDNN|MKL|KMP|OMP|OPENBLAS|NVIDIA|NCCL|TORCHINDUCTOR)_\w+"
)


@dataclass(frozen=True)
class EnvDifference:
    """One fact with two values; None where one side lacks it."""

    key: str
    left: Any
    right: Any
    effect: Effect

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def line(self) -> str:
        return f"{self.key}: {_short(self.left)} -> {_short(self.right)}"


def compare_environments(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[EnvDifference]:
    """Every fact that differs: first what can change a bit, last what differs at each start."""
    a, b = flatten(_named(left, right)), flatten(_named(right, left))
    found = [
        EnvDifference(key, a.get(key), b.get(key), "moment" if _is_ours(key, a, b) else _effect(key))
        for key in sorted({*a, *b})
        if a.get(key) != b.get(key)
    ]
    order = ("bits", "recorded", "moment")
    return sorted(found, key=lambda row: (order.index(row.effect), row.key))


def _is_ours(key: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether a variable is set on one side by a run of ours, and on the other no run has begun yet."""
    ours = SET_BY_US.get(key.removeprefix("variables.recorded."))
    return ours is not None and {a.get(key), b.get(key)} == {None, ours}


def _named(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """*one* with a package that *other* lacks as its version alone: that it is there says all."""
    packages, theirs = _packages(one), _packages(other)
    short = {
        name: row["version"] if name not in theirs and isinstance(row, Mapping) else row
        for name, row in packages.items()
    }
    return {**one, "packages": short}


def _packages(environment: Any) -> Mapping[str, Any]:
    """Raises IntegrityError for what is no record of an environment."""
    found = environment.get("packages") or {} if isinstance(environment, Mapping) else None
    if not isinstance(found, Mapping):
        raise IntegrityError(
            "a record of an environment is damaged: it is no table with a table 'packages'",
            code="run.damaged",
            next_step="restore the file it was read from",
        )
    return found


def _effect(key: str) -> Effect:
    if is_of_the_moment(key):
        return "moment"
    return "bits" if _BITS.fullmatch(key) else "recorded"


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return f"{text[:12]}…" if re.fullmatch(r"[0-9a-f]{40,64}", text) else text
