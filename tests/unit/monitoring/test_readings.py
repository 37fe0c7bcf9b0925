from __future__ import annotations

import logging
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.monitoring.readings import Rates, Readings

ALWAYS = {
    "cpu_percent",
    "memory_used_bytes",
    "process_cpu_percent",
    "process_memory_bytes",
    "children",
    "disk_free_bytes",
}


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver())


class NVMLError(Exception):
    pass


class NotFound(NVMLError):
    pass


def driver(count: int = 0, **broken: Exception) -> Any:
    """NVML as the package has it, for *count* GPUs; *broken* names calls that raise."""

    def call(name: str, value: Any) -> Any:
        def answer(*_: Any) -> Any:
            if name in broken:
                raise broken[name]
            return value

        return answer

    calls = {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlDeviceGetCount": count,
        "nvmlDeviceGetHandleByIndex": object(),
        "nvmlDeviceGetUtilizationRates": types.SimpleNamespace(gpu=83),
        "nvmlDeviceGetMemoryInfo": types.SimpleNamespace(used=5 << 30, total=80 << 30),
        "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetPowerUsage": 250_500,
    }
    module = types.ModuleType("pynvml")
    module.__spec__ = types.SimpleNamespace(name="pynvml")  # type: ignore[assignment]
    for name, value in calls.items():
        setattr(module, name, call(name, value))
    module.NVMLError = NVMLError  # type: ignore[attr-defined]
    module.NVMLError_LibraryNotFound = module.NVMLError_DriverNotLoaded = NotFound  # type: ignore[attr-defined]
    module.NVML_TEMPERATURE_GPU = 0  # type: ignore[attr-defined]
    return module


def test_the_machine_the_process_and_the_disk_are_read(tmp_path: Path) -> None:
    readings = Readings(tmp_path)
    first, second = readings.read(), readings.read()
    assert set(first) >= ALWAYS
    assert not any(name.startswith("gpu") for name in first)
    assert not any(name.endswith("per_second") for name in first)
    assert {name for name in second if name.endswith("per_second")} >= {"process_written_bytes_per_second"}
    assert second["process_memory_bytes"] > 5 << 20
    assert 0 <= second["disk_used_percent"] <= 100


def test_children_are_counted_at_any_depth(tmp_path: Path) -> None:
    readings = Readings(tmp_path)
    before = readings.read()["children"]
    program = "import subprocess, sys; subprocess.run(['sh', '-c', 'echo ready; cat; exit 0'])"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = readings.read()
        child.communicate(b"")
    assert found["children"] - before >= 2
    assert found["children_memory_bytes"] > 1 << 20


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=6))
def test_a_rate_is_never_negative_and_needs_two_looks(counts: list[int]) -> None:
    rates = Rates()
    assert rates.of({"x": counts[0]}) == {}
    for count in counts[1:]:
        assert all(value >= 0 for value in rates.of({"x": count}).values())


def test_without_proc_each_reading_is_left_out_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    readings = Readings(tmp_path, proc=tmp_path / "none")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "none"))
    with caplog.at_level(logging.WARNING):
        found = readings.read()
        readings.read()
    assert {"disk_free_bytes", "disk_used_percent"} <= set(found)
    assert "cpu_percent" not in found and "memory_used_bytes" not in found
    told = [line for line in caplog.messages if "is not watched" in line]
    assert any(line.startswith("cpu ") for line in told)
    assert len({line.split(" is not")[0] for line in told}) == len(told)


def test_every_gpu_tells_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver(2, nvmlDeviceGetPowerUsage=NVMLError("not supported")))
    found = {name: value for name, value in Readings(tmp_path).read().items() if name.startswith("gpu")}
    assert found == {
        f"gpu{number}_{name}": value
        for number in (0, 1)
        for name, value in (
            ("utilisation_percent", 83.0),
            ("memory_used_bytes", float(5 << 30)),
            ("memory_percent", 6.25),
            ("temperature_celsius", 61.0),
        )
    }
    monkeypatch.setitem(sys.modules, "pynvml", driver(1))
    assert Readings(tmp_path).read()["gpu0_power_watts"] == 250.5
    monkeypatch.setenv("CODEX_DISABLE_NVML", "1")
    assert "gpu0_power_watts" not in Readings(tmp_path).read()


BROKEN = {
    "a driver of another version": driver(1, nvmlInit=NVMLError("Driver/library version mismatch")),
    "a lost GPU": driver(1, nvmlDeviceGetHandleByIndex=NVMLError("GPU is lost")),
    "a package that is none": types.ModuleType("pynvml"),
    "a GPU that answers nonsense": driver(1, nvmlDeviceGetMemoryInfo=ValueError("nonsense")),
}
BROKEN["a package that is none"].__spec__ = types.SimpleNamespace(name="pynvml")  # type: ignore[assignment]


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_nvml_is_one_line_and_costs_only_the_gpus(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", BROKEN[how])
    readings = Readings(tmp_path)
    found = readings.read() | readings.read()
    readings.close()
    assert set(found) >= ALWAYS
    assert not any(name.startswith("gpu") for name in found)
    assert len([line for line in caplog.messages if line.startswith("gpu is not watched")]) == 1


def test_no_driver_is_nothing_to_mention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver(1, nvmlInit=NotFound("libnvidia-ml.so")))
    assert set(Readings(tmp_path).read()) >= ALWAYS
    assert caplog.messages == []


def test_a_driver_that_does_not_shut_down_is_told_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver(1, nvmlShutdown=NVMLError("gone")))
    readings = Readings(tmp_path)
    assert "gpu0_memory_percent" in readings.read()
    readings.close()
    assert "does not close: NVMLError: gone" in caplog.text
