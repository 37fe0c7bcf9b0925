"""Which device and dtype a model gets here, decided before anything is loaded, and why."""

from __future__ import annotations

import torch

from codex_ml.core.workers import local_count, local_rank
from codex_ml.errors import ConfigError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def possible_devices() -> list[str]:
    """What `choose_device` accepts on this machine."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["auto", "cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def choose_device(asked: str) -> tuple[str, str]:
    """The device that *asked* means here, and why. Raises ConfigError when it is absent or no device."""
    if asked == "auto":
        if torch.cuda.is_available():
            return f"cuda:{local_rank()}", "a CUDA device is there"
        return "cpu", "there is no CUDA device"
    if asked == "cuda":
        asked = f"cuda:{local_rank() if local_count() > 1 else 0}"
    possible = possible_devices()
    if asked not in possible:
        raise ConfigError(
            f"the device {asked} is not there",
            code="config.device",
            got=f"{torch.cuda.device_count()} CUDA devices",
            wanted=" or ".join(possible),
            next_step="use device auto or cpu",
        )
    return asked, "asked for"


def choose_dtype(asked: str, device: str) -> tuple[str, str]:
    """The dtype of weights on *device*, and why. Raises ConfigError for one that does not work there."""
    if asked == "auto":
        kind = "this CPU" if device == "cpu" else "this device"
        if has_bf16(device):
            return "bfloat16", f"{kind} multiplies bfloat16 natively"
        return "float32", f"{kind} has no native bfloat16"
    if asked not in DTYPES:
        raise _unsuitable(asked, device, "no dtype of weights", [*DTYPES, "auto"])
    if asked == "float16" and device == "cpu":
        raise _unsuitable(asked, device, "float16 is slow and overflows on a CPU", ["float32", "bfloat16"])
    if asked == "bfloat16" and device != "cpu" and not has_bf16(device):
        raise _unsuitable(asked, device, "this device has no bfloat16", ["float32", "float16"])
    if asked == "bfloat16" and not has_bf16(device):
        return asked, "asked for; emulated on this CPU and slow"
    return asked, "asked for"


def _unsuitable(asked: str, device: str, reason: str, possible: list[str]) -> ConfigError:
    return ConfigError(
        f"dtype {asked} does not work on {device}",
        code="config.dtype",
        got=reason,
        wanted=" or ".join(possible),
        next_step="use dtype auto",
    )


def has_bf16(device: str) -> bool:
    """True where *device* multiplies bfloat16 in hardware."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return cpu_has_bf16() if device == "cpu" else False


def cpu_has_bf16() -> bool:
    """True where the CPU multiplies bfloat16 in hardware (AVX-512 BF16, AMX, or Arm's BF16)."""
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
