"""What a run's samples of the machine come to: means and peaks."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codex_ml.core.ndjson import parse_line
from codex_ml.errors import IntegrityError

log = logging.getLogger(__name__)
#: Fields of a row that are no readings.
NOT_READINGS = frozenset({"run_id", "ts", "step"})
#: Readings of which the least says more than the most.
_LOWEST = frozenset({"disk_free_bytes"})


def summarise(path: Path) -> dict[str, Any] | None:
    """Number of samples, and mean and peak of every reading in a ``system.ndjson``; None without samples.

    The peak of free disk space is the least there was. Lines that are damaged, as after a power cut, and a
    file that cannot be read are left out and told in one line: samples never stop a run.
    """
    count, sums, peaks, seen = 0, dict[str, float](), dict[str, float](), dict[str, int]()
    for row in samples(path):
        count += 1
        for name, value in row.items():
            if name in NOT_READINGS:
                continue
            seen[name] = seen.get(name, 0) + 1
            sums[name] = sums.get(name, 0.0) + value
            worst = min if name in _LOWEST else max
            peaks[name] = worst(peaks.get(name, value), value)
    if not count:
        return None
    return {
        "samples": count,
        "mean": {name: sums[name] / seen[name] for name in sums},
        "peak": peaks,
    }


def samples(path: Path) -> Iterator[dict[str, float]]:
    """Time, step and readings of each good line of a ``system.ndjson``; damaged ones are told at the end."""
    damaged, reason = 0, ""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    break  # torn by a kill, and cut when the run goes on
                try:
                    yield _numbers(line, f"{path}:{number}")
                except (IntegrityError, TypeError, ValueError) as error:
                    damaged, reason = damaged + 1, reason or str(error)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s is not summed up: %s", path, error.strerror)
    if damaged:
        log.warning("%s: %d damaged lines are left out, the first: %s", path, damaged, reason)


def _numbers(line: bytes, place: str) -> dict[str, float]:
    row = parse_line(line, place, fields=("ts",))
    values = {name: float(value) for name, value in row.items() if name != "run_id"}
    if not math.isfinite(values["ts"]):
        raise ValueError(f"{place} has no time")
    return {name: value for name, value in values.items() if math.isfinite(value)}
