"""The build of PyTorch and what it found on this machine."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from types import ModuleType
from typing import Any

from codex_ml.core.digest import digest_bytes

log = logging.getLogger(__name__)
_FACTS = re.compile(
    r"(BLAS_INFO|LAPACK_INFO|BUILD_TYPE|TORCH_VERSION|USE_CUDA|USE_CUDNN|USE_MKL|USE_MKLDNN|USE_NCCL|USE_OPENMP|"
    r"USE_GLOO|CUDA_VERSION|PERF_WITH_AVX512|CXX_COMPILER)=([^,\n]+)"
)


def torch_build(*, load: bool = False) -> dict[str, Any] | None:
    """Version, build, CPU capability, threads, CUDA, cuDNN and NCCL; None where torch is not loaded.

    With *load* it is imported when it is installed. A torch that fails to import gives its error.
    """
    torch = sys.modules.get("torch")
    if torch is None and load:
        try:
            torch = importlib.import_module("torch")
        except ModuleNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - a broken installation fails in any way
            log.warning("torch is installed and fails to import: %s", error)
            return {"error": f"{type(error).__name__}: {error}"}
    return None if torch is None else _facts(torch)


def _facts(torch: Any) -> dict[str, Any]:
    shown = str(torch.__config__.show())
    parallel = str(torch.__config__.parallel_info())
    return {
        "version": str(torch.__version__),
        "commit": getattr(torch.version, "git_version", None),
        "config_sha256": digest_bytes(shown.encode()),
        "config": dict(_FACTS.findall(shown)),
        "parallel_backend": _after(parallel, "ATen parallel backend:"),
        "threads": int(torch.get_num_threads()),
        "interop_threads": int(torch.get_num_interop_threads()),
        "cpu_capability": str(torch.backends.cpu.get_cpu_capability()),
        "cuda": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
        "cudnn": torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None,
        "nccl": _nccl(torch),
    }


def _after(text: str, mark: str) -> str | None:
    found = re.search(rf"{re.escape(mark)}\s*(.+)", text)
    return found.group(1).strip() if found else None


def _nccl(torch: ModuleType | Any) -> str | None:
    if not torch.cuda.is_available():
        return None
    try:
        return ".".join(str(part) for part in torch.cuda.nccl.version())
    except (AttributeError, RuntimeError, ImportError) as error:
        log.debug("NCCL tells no version: %s", error)
        return None
