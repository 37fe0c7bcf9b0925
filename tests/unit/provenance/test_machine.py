"""Processor, memory, limits, disk and GPUs, from files that a test writes."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from codex_ml.provenance import accelerators as gpus
from codex_ml.provenance.accelerators import accelerators
from codex_ml.provenance.cgroups import cgroup_limits
from codex_ml.provenance.machine import cpu_name, disk, memory_bytes, processor, system


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


CPU = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"
    "model name\t: Xeon Platinum\nstepping\t: 8\nmicrocode\t: 0x2b\n"
    "flags\t\t: fpu avx2 avx512f amx_bf16 fma\n\n"
    "processor\t: 1\nmodel name\t: another\n"
)


def test_the_first_processor_is_described_and_its_flags_digested(tmp_path: Path) -> None:
    found = processor(put(tmp_path, {"proc/cpuinfo": CPU}))
    assert (found["name"], found["vendor"], found["family"]) == ("Xeon Platinum", "GenuineIntel", "6")
    assert (found["model"], found["stepping"], found["microcode"]) == ("143", "8", "0x2b")
    assert found["isa"] == ["amx_bf16", "avx2", "avx512f", "fma"]
    shuffled = CPU.replace("fpu avx2 avx512f amx_bf16 fma", "fma fpu amx_bf16 avx2 avx512f")
    less = CPU.replace(" amx_bf16", "")
    other = [processor(put(tmp_path, {"proc/cpuinfo": text}))["flags_sha256"] for text in (shuffled, less)]
    assert found["flags_sha256"] == other[0] != other[1]


def test_memory_and_distribution_are_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "proc/meminfo": "MemTotal:  2048 kB\nMemFree: 1 kB\n",
            "etc/os-release": 'PRETTY_NAME="Debian 12"\n',
        },
    )
    assert memory_bytes(tmp_path) == 2048 * 1024
    assert system(tmp_path)["distribution"] == "Debian 12"


def test_nothing_to_read_is_no_error(tmp_path: Path) -> None:
    assert cpu_name(tmp_path)
    assert memory_bytes(tmp_path)
    assert processor(tmp_path)["microcode"] is None
    assert disk(tmp_path / "not" / "yet", root=tmp_path)["free_bytes"] > 0


def test_the_file_system_is_that_of_the_longest_mount(tmp_path: Path) -> None:
    rows = [
        "1 0 8:1 / / rw - ext4 /dev/sda rw",
        f"2 1 0:5 / {tmp_path} rw,shared:1 - xfs /dev/sdb rw",
        "3 1 0:6 / /elsewhere rw - tmpfs tmpfs rw",
        "broken",
    ]
    put(tmp_path, {"proc/self/mountinfo": "\n".join(rows)})
    assert disk(tmp_path, root=tmp_path)["filesystem"] == "xfs"


# ---- control groups ------------------------------------------------------------------------------


def test_the_second_version_takes_the_least_limit_on_the_way_up(tmp_path: Path) -> None:
    put(tmp_path, {
        "proc/self/cgroup": "0::/user/job\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory",
        "sys/fs/cgroup/user/memory.max": "1000000\n",
        "sys/fs/cgroup/user/job/memory.max": "max\n",
        "sys/fs/cgroup/user/job/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/user/job/cpuset.cpus.effective": "0-3\n",
    })  # fmt: skip
    assert cgroup_limits(tmp_path) == {"version": 2, "memory_bytes": 1000000, "cpus": 1.5, "cpuset": "0-3"}


def test_the_first_version_is_read_by_controller(tmp_path: Path) -> None:
    put(tmp_path, {
        "proc/self/cgroup": "4:memory:/job\n3:cpuset:/\n1:cpu,cpuacct:/job\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "4096000",
        "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "200000",
        "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpuset/cpuset.cpus": "0,2",
    })  # fmt: skip
    assert cgroup_limits(tmp_path) == {"version": 1, "memory_bytes": 4096000, "cpus": 2.0, "cpuset": "0,2"}


def test_a_container_that_sees_only_the_topmost_group_is_read_there(tmp_path: Path) -> None:
    put(tmp_path, {
        "proc/self/cgroup": "0::/docker/abc\n",
        "sys/fs/cgroup/cgroup.controllers": "memory",
        "sys/fs/cgroup/memory.max": "77",
    })  # fmt: skip
    assert cgroup_limits(tmp_path)["memory_bytes"] == 77


def test_unlimited_groups_have_no_limits(tmp_path: Path) -> None:
    put(tmp_path, {
        "proc/self/cgroup": "4:memory:/\n1:cpu:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    })  # fmt: skip
    found = cgroup_limits(tmp_path)
    assert (found["memory_bytes"], found["cpus"], found["cpuset"]) == (None, None, None)


# ---- accelerators --------------------------------------------------------------------------------


class NVMLError_LibraryNotFound(Exception):  # noqa: N801 - NVML's own name
    pass


def nvml(**changes: Any) -> ModuleType:
    """NVML of a machine with one GPU; functions replaced by name."""
    handle = object()
    functions: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: b"550.54.15",
        "nvmlSystemGetCudaDriverVersion": lambda: 12040,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda _index: handle,
        "nvmlDeviceGetName": lambda _handle: "NVIDIA H100",
        "nvmlDeviceGetMemoryInfo": lambda _handle: SimpleNamespace(total=80 << 30),
        "nvmlDeviceGetCudaComputeCapability": lambda _handle: (9, 0),
    }
    return SimpleNamespace(**(functions | changes))  # type: ignore[return-value]


@pytest.fixture
def library(monkeypatch, tmp_path: Path):
    """Install an NVML, and no nvidia-smi but the one in ``tmp_path``."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return lambda module: monkeypatch.setitem(sys.modules, "pynvml", module)


def test_gpus_are_read_through_nvml(library) -> None:
    library(nvml())
    assert accelerators() == {
        "source": "nvml",
        "driver": "550.54.15",
        "cuda_driver": "12.4",
        "gpus": [{"name": "NVIDIA H100", "memory_bytes": 80 << 30, "compute_capability": "9.0"}],
        "note": None,
    }


def failing(error: Exception) -> Any:
    def call(*_: object) -> None:
        raise error

    return call


@pytest.mark.parametrize("where", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetMemoryInfo"])
def test_a_broken_nvml_is_a_note_and_a_warning(library, caplog, where: str) -> None:
    library(nvml(**{where: failing(RuntimeError("driver/library version mismatch"))}))
    with caplog.at_level(logging.WARNING):
        found = accelerators()
    assert found["gpus"] == []
    assert "driver/library version mismatch" in found["note"]
    assert len(caplog.records) == 1


def test_a_machine_without_a_driver_is_nothing_amiss(library, caplog) -> None:
    library(nvml(nvmlInit=failing(NVMLError_LibraryNotFound("NVML Shared Library Not Found"))))
    assert accelerators()["note"] is None
    library(None)
    assert accelerators() == {"source": None, "driver": None, "cuda_driver": None, "gpus": [], "note": None}
    assert caplog.records == []


def test_nvidia_smi_is_asked_where_nvml_fails(library, tmp_path: Path) -> None:
    library(nvml(nvmlInit=failing(RuntimeError("no"))))
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA A100, 40960, 535.1, 8.0'\n")
    program.chmod(0o755)
    found = accelerators()
    assert (found["source"], found["driver"]) == ("nvidia-smi", "535.1")
    assert found["gpus"] == [
        {"name": "NVIDIA A100", "memory_bytes": 40960 << 20, "compute_capability": "8.0"}
    ]
    assert "NVML failed" in found["note"]


@pytest.mark.parametrize("script", ["echo broken; exit 9", "echo odd", "exec /bin/sleep 30"])
def test_a_broken_nvidia_smi_is_a_note(library, tmp_path: Path, script: str) -> None:
    library(None)
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    found = accelerators()
    assert found["gpus"] == []
    assert found["note"].startswith("nvidia-smi failed")
    assert gpus.log
