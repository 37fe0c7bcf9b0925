"""What the machine and this process use at one moment; a reading that fails is left out, told once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from codex_ml.monitoring.gpu import GpuReadings

log = logging.getLogger(__name__)
Values = dict[str, float]


class Rates:
    """Counters that only grow, as rates since the look before; the first look gives none."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def of(self, counters: Values) -> Values:
        """``x`` -> ``x_per_second``, for every counter seen before; one that fell counts as 0."""
        now, found = time.monotonic(), {}
        for name, value in counters.items():
            if name in self._before:
                then, old = self._before[name]
                if now > then:
                    found[f"{name}_per_second"] = max(0.0, value - old) / (now - then)
            self._before[name] = (now, value)
        return found


class Readings:
    """Reads everything there is to read, by group. *disk* is the folder whose disk counts."""

    def __init__(self, disk: Path, *, proc: Path = Path("/proc")) -> None:
        self._disk, self._proc = disk, proc
        self._process = psutil.Process()
        self._rates = Rates()
        self._gpu = GpuReadings()
        self._groups: dict[str, Callable[[], Values]] = {
            "cpu": self._cpu,
            "memory": self._memory,
            "process": self._own,
            "children": self._children,
            "process I/O": self._process_io,
            "disk": self._disk_use,
            "disk I/O": self._disk_io,
            "network": self._network,
            "gpu": self._gpu.read,
        }

    def read(self) -> Values:
        """One value for each name; rates and percentages are since the call before."""
        found: Values = {}
        for group in list(self._groups):
            try:
                found |= self._groups[group]()
            except Exception as error:  # noqa: BLE001 - drivers and /proc fail in many ways, each only a reading less
                log.warning("%s is not watched: %s: %s", group, type(error).__name__, error)
                del self._groups[group]
        return found

    def close(self) -> None:
        """Let the driver of the GPUs go; one that refuses is told."""
        try:
            self._gpu.close()
        except Exception as error:  # noqa: BLE001 - as above: a driver
            log.warning("the driver of the GPUs does not close: %s: %s", type(error).__name__, error)

    def _cpu(self) -> Values:
        return {"cpu_percent": psutil.cpu_percent(None)}

    def _memory(self) -> Values:
        memory = psutil.virtual_memory()
        return {"memory_used_bytes": memory.total - memory.available, "memory_percent": memory.percent}

    def _own(self) -> Values:
        with self._process.oneshot():
            return {
                "process_cpu_percent": self._process.cpu_percent(None),
                "process_memory_bytes": self._process.memory_info().rss,
                "process_threads": self._process.num_threads(),
            }

    def _children(self) -> Values:
        count, memory = 0, 0
        for pid in self._descendants(self._process.pid):
            try:
                memory += psutil.Process(pid).memory_info().rss
            except psutil.NoSuchProcess:
                continue  # it has just ended
            count += 1
        return {"children": count, "children_memory_bytes": memory}

    def _descendants(self, pid: int) -> Iterator[int]:
        """Processes below *pid*, from the kernel's own lists: psutil looks at every process there is."""
        for file in (self._proc / str(pid) / "task").glob("*/children"):
            try:
                children = [int(word) for word in file.read_text(encoding="ascii").split()]
            except FileNotFoundError:
                continue  # a thread that has just ended
            for child in children:
                yield child
                yield from self._descendants(child)

    def _process_io(self) -> Values:
        if not hasattr(self._process, "io_counters"):
            return {}
        io = self._process.io_counters()
        return self._rates.of({"process_read_bytes": io.read_bytes, "process_written_bytes": io.write_bytes})

    def _disk_use(self) -> Values:
        usage = psutil.disk_usage(str(self._disk))
        return {"disk_used_percent": usage.percent, "disk_free_bytes": usage.free}

    def _disk_io(self) -> Values:
        io: Any = psutil.disk_io_counters()  # None where there is no disk
        if io is None:
            return {}
        return self._rates.of({"disk_read_bytes": io.read_bytes, "disk_written_bytes": io.write_bytes})

    def _network(self) -> Values:
        io: Any = psutil.net_io_counters()  # None where there is no network
        if io is None:
            return {}
        return self._rates.of({"network_sent_bytes": io.bytes_sent, "network_received_bytes": io.bytes_recv})
