"""The pictures of the machine while a run trained: processor, memory, disk and GPU by time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codex_ml.report.curves import Chart
from codex_ml.report.facts import RunFacts, Series
from codex_ml.report.numbers import number
from codex_ml.report.smooth import thinned
from codex_ml.report.svg import draw, paint


@dataclass(frozen=True)
class _Look:
    """Readings that one picture shows, each with the words for it."""

    key: str
    title: str
    axis: str
    readings: tuple[tuple[str, str], ...]
    scale: float = 1.0


_LOOKS = (
    _Look(
        "cpu",
        "Processor",
        "per cent",
        (("process_cpu_percent", "this process"), ("cpu_percent", "the machine")),
    ),
    _Look(
        "memory",
        "Memory",
        "GB",
        (("process_memory_bytes", "this process"), ("memory_used_bytes", "the machine")),
        scale=1e-9,
    ),
    _Look(
        "disk",
        "Disk",
        "MB per second",
        (("process_written_bytes_per_second", "written"), ("process_read_bytes_per_second", "read")),
        scale=1e-6,
    ),
    _Look(
        "gpu",
        "GPU",
        "per cent",
        (("gpu0_utilisation_percent", "utilisation"), ("gpu0_memory_percent", "memory")),
    ),
    _Look(
        "gpu-heat",
        "GPU heat",
        "degrees Celsius, watts",
        (("gpu0_temperature_celsius", "temperature"), ("gpu0_power_watts", "power")),
    ),
)
_COLOURS = ("one", "two")


def system_charts(run: RunFacts) -> list[Chart]:
    """One picture for each kind of reading that was taken more than once."""
    return [chart for look in _LOOKS if (chart := _chart(run, look)) is not None]


def _chart(run: RunFacts, look: _Look) -> Chart | None:
    named = [(words, _scaled(run.system.get(reading), look.scale)) for reading, words in look.readings]
    lines = [(words, curve) for words, curve in named if len(curve.steps) > 1]
    if not lines:
        return None

    def fill(axes: Any) -> None:
        for (words, curve), colour in zip(lines, _COLOURS, strict=False):
            shown = thinned(curve)
            values = [value if math.isfinite(value) else math.nan for value in shown.values]
            axes.plot([step / 60 for step in shown.steps], values, color=paint(colour), label=words)
        axes.set_xlabel("minutes")
        axes.set_ylabel(look.axis)
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")

    told = "; ".join(f"{words} {_told(curve)}" for words, curve in lines)
    key = f"system-{look.key}"
    svg = draw(key, fill, labelled_by=f"caption-{key}")
    return Chart(key, look.title, f"{look.title} in {look.axis}: {told}.", svg)


def _scaled(curve: Series | None, factor: float) -> Series:
    if curve is None:
        return Series((), ())
    return Series(curve.steps, tuple(value * factor for value in curve.values))


def _told(curve: Series) -> str:
    finite: Sequence[float] = [value for value in curve.values if math.isfinite(value)]
    if not finite:
        return "not known"
    return (
        f"{number(sum(finite) / len(finite), digits=3)} on average, {number(max(finite), digits=3)} at most"
    )
