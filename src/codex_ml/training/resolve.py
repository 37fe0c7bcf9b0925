"""What "auto" becomes on this machine: device, dtype, compiler, threads; stored beside the config."""

from __future__ import annotations

import dataclasses
import platform
from dataclasses import dataclass
from typing import Any

import torch

from codex_ml.config.schema import RunConfig
from codex_ml.core.workers import local_count, worker_count
from codex_ml.errors import ConfigError
from codex_ml.modeling.device import choose_device, choose_dtype
from codex_ml.modeling.size import model_size
from codex_ml.provenance.environment import cpu_name, usable_cores

#: Below this much work (FLOP) a cold compile costs more than it saves.
_COMPILE_PAYS_FLOP = 3e13


@dataclass(frozen=True)
class ResolvedRun:
    """What ran, as opposed to what was asked."""

    device: str
    device_name: str
    dtype: str
    dtype_reason: str
    compile: bool
    compile_reason: str
    threads: int
    cpu_capability: str
    torch_build: str
    python: str
    determinism: str
    workers: int

    @property
    def torch_dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.dtype == "bfloat16" else torch.float32

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def resolve(config: RunConfig, *, vocab_size: int, before: bool | None) -> ResolvedRun:
    """Decide everything the config leaves to the machine. Raises ConfigError for what it lacks.

    *before* is what an existing run decided on compilation: its length may grow, its code may not
    change, so "auto" stays what it became.
    """
    device, _ = choose_device(config.runtime.device)
    check_workers(config, worker_count())
    dtype, dtype_reason = choose_dtype(config.runtime.dtype, device)
    compiled, compile_reason = _compile(config, device, vocab_size, before)
    cuda = device.startswith("cuda")
    return ResolvedRun(
        device=device,
        device_name=torch.cuda.get_device_name(device) if cuda else cpu_name(),
        dtype=dtype,
        dtype_reason=dtype_reason,
        compile=compiled,
        compile_reason=compile_reason,
        threads=resolve_threads(config),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        torch_build=torch.__version__,
        python=platform.python_version(),
        determinism=config.runtime.determinism,
        workers=worker_count(),
    )


def check_workers(config: RunConfig, workers: int) -> None:
    """Raise ConfigError when the shards of a step do not spread evenly over the workers."""
    shards = config.runtime.shards
    # The tree that adds up gradients in a fixed order pairs the workers.
    tree = config.runtime.determinism != "fast" and config.runtime.sharding == "none"
    if shards % workers or (tree and workers & (workers - 1)):
        raise ConfigError(
            f"{workers} workers cannot share the {shards} shards of a step evenly",
            code="config.workers",
            got=f"runtime.shards={shards}, {workers} workers",
            wanted="a power of two that divides runtime.shards" if tree else "a divisor of runtime.shards",
            next_step="start another number of workers, or set runtime.shards (a new run)",
        )


def resolve_threads(config: RunConfig) -> int:
    """CPU threads of this worker: elastic runs take one unless told, others share the machine's cores.

    The number of threads can change bits, so in an elastic run it never follows from that of workers.
    """
    asked = config.runtime.threads
    if asked != "auto":
        return asked
    return 1 if config.runtime.determinism == "elastic" else max(1, usable_cores() // local_count())


def _compile(config: RunConfig, device: str, vocab_size: int, before: bool | None) -> tuple[bool, str]:
    asked = config.runtime.compile
    if asked == "auto" and before is False:
        return False, "the run began uncompiled"
    if asked is False:
        return False, "asked for"
    if config.runtime.sharding == "fsdp2":
        return False, "a sharded model is not compiled"
    if config.train.engine == "hf":
        return False, "transformers' Trainer runs the model as it is"
    if asked == "auto" and before is None:
        tokens = config.train.steps * config.train.batch_size * config.model.context
        work = 6.0 * model_size(config.model, vocab_size=vocab_size).parameters * tokens
        if work < _COMPILE_PAYS_FLOP:
            return False, "the run is too short for a compilation to pay"
    failure = compiler_failure(device)
    if failure is None:
        return True, "a test compilation worked"
    if asked is True:
        raise ConfigError(
            "runtime.compile=true and no compiler works here",
            code="config.compile",
            got=failure,
            next_step="install a C++ compiler (Debian: g++), or use runtime.compile=auto",
        )
    return False, f"no compiler works here: {failure}"


def compiler_failure(device: str) -> str | None:
    """Compile and run a tiny function; the reason when that fails, else None."""
    from torch._dynamo.exc import BackendCompilerFailed
    from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

    probe = torch.compile(lambda x: (x * 2 + 1).sum(), dynamic=False)
    try:
        value = float(probe(torch.arange(64, dtype=torch.float32, device=device)))
    except (BackendCompilerFailed, InvalidCxxCompiler, CppCompileError, OSError, RuntimeError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None if value == 4096.0 else f"the compiled probe gave {value} instead of 4096.0"
