"""GPUs and their drivers: through NVML, else through nvidia-smi; a broken one is a note, never an error."""

from __future__ import annotations

import logging
import shutil
import subprocess
from typing import Any

from codex_ml.core.optional import require
from codex_ml.core.redact import redact_text
from codex_ml.errors import MissingExtraError

log = logging.getLogger(__name__)
_FIELDS = ("name", "memory.total", "driver_version", "compute_cap")


def accelerators() -> dict[str, Any]:
    """Name, memory and compute capability of each GPU, driver and CUDA version of the driver.

    ``source`` is what told it; ``note`` says what was asked in vain.
    """
    notes: list[str] = []
    for ask in (_nvml, _nvidia_smi):
        found, note = ask()
        if found is not None:
            return {**found, "note": "; ".join(notes) or None}
        if note:
            notes.append(note)
    return {"source": None, "driver": None, "cuda_driver": None, "gpus": [], "note": "; ".join(notes) or None}


def _nvml() -> tuple[dict[str, Any] | None, str | None]:
    try:
        pynvml = require("pynvml", extra="gpu")
    except MissingExtraError as error:
        return None, None if error.code == "extra.missing" else redact_text(error.what)
    try:
        pynvml.nvmlInit()
    except Exception as error:  # noqa: BLE001 - a driver of any age may fail in any way
        return None, _told(error)
    try:
        return _ask_nvml(pynvml), None
    except Exception as error:  # noqa: BLE001
        return None, _told(error)
    finally:
        try:
            pynvml.nvmlShutdown()
        except Exception as error:  # noqa: BLE001
            log.debug("NVML did not shut down: %s", error)


def _told(error: Exception) -> str | None:
    """What NVML said; that there is no NVIDIA driver at all is the usual case, and nothing amiss."""
    if type(error).__name__ in ("NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded"):
        return None
    text = f"NVML failed: {type(error).__name__}: {redact_text(str(error))}"
    log.warning("%s; GPUs are asked for in another way", text)
    return text


def _ask_nvml(pynvml: Any) -> dict[str, Any]:
    version = int(pynvml.nvmlSystemGetCudaDriverVersion())
    gpus = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        gpus.append(
            {
                "name": _string(pynvml.nvmlDeviceGetName(handle)),
                "memory_bytes": int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                "compute_capability": f"{major}.{minor}",
            }
        )
    return {
        "source": "nvml",
        "driver": _string(pynvml.nvmlSystemGetDriverVersion()),
        "cuda_driver": f"{version // 1000}.{version % 1000 // 10}",
        "gpus": gpus,
    }


def _string(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _nvidia_smi() -> tuple[dict[str, Any] | None, str | None]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None, None
    query = [program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=1.0, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"nvidia-smi failed: {type(error).__name__}"
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not all(len(row) == len(_FIELDS) for row in rows):
        return None, f"nvidia-smi failed with exit code {done.returncode}"
    gpus = [
        {
            "name": name,
            "memory_bytes": int(memory) << 20 if memory.isdigit() else None,
            "compute_capability": capability,
        }
        for name, memory, _, capability in rows
    ]
    driver = rows[0][2] if rows else None
    return {"source": "nvidia-smi", "driver": driver, "cuda_driver": None, "gpus": gpus}, None
