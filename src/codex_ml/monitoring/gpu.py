"""NVIDIA GPUs through NVML: use, memory, temperature, power. No GPU, no package: nothing to read."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable
from typing import Any

from codex_ml.core.optional import require

log = logging.getLogger(__name__)
OFF = "CODEX_DISABLE_NVML"


class GpuReadings:
    """Values of every GPU as ``gpu0_…``. What a GPU cannot tell is left out.

    The driver is opened at the first reading. Without the package or without a driver there is nothing
    to say; a driver that fails otherwise raises.
    """

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] | None = None

    def read(self) -> dict[str, float]:
        """Raises NVMLError, or whatever a broken package raises, when the driver cannot be opened."""
        if self._handles is None:
            self._handles = self._open()
        found: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            for name, ask in self._questions().items():
                try:
                    found[f"gpu{number}_{name}"] = float(ask(handle))
                except (self._nvml.NVMLError, ZeroDivisionError) as error:  # a memory of no size
                    log.debug("gpu%d does not tell its %s: %s", number, name, error)
        return found

    def close(self) -> None:
        """Let the driver go."""
        if self._handles is not None and self._nvml is not None:
            self._nvml.nvmlShutdown()
        self._handles = None

    def _open(self) -> list[Any]:
        if os.environ.get(OFF) or importlib.util.find_spec("pynvml") is None:
            return []
        nvml = require("pynvml", extra="gpu")
        try:
            nvml.nvmlInit()
        except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded) as error:
            log.debug("no NVIDIA driver: %s", error)
            return []
        self._nvml = nvml
        return [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]

    def _questions(self) -> dict[str, Callable[[Any], float]]:
        nvml = self._nvml
        return {
            "utilisation_percent": lambda gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
            "memory_used_bytes": lambda gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
            "memory_percent": lambda gpu: _percent(nvml.nvmlDeviceGetMemoryInfo(gpu)),
            "temperature_celsius": lambda gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
            "power_watts": lambda gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
        }


def _percent(memory: Any) -> float:
    return 100 * float(memory.used) / float(memory.total)
