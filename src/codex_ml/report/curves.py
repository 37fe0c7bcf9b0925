"""The pictures of training: loss, learning rate, throughput, memory and gradient norm by step."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from codex_ml.report.facts import RunFacts, Series
from codex_ml.report.numbers import number
from codex_ml.report.smooth import smoothed, smoothing_span, thinned
from codex_ml.report.svg import draw, paint


@dataclass(frozen=True)
class Chart:
    """A picture and its caption; ``svg`` is None when the run did not record the metric."""

    key: str
    title: str
    caption: str
    svg: str | None


def curves(run: RunFacts) -> list[Chart]:
    """The charts in the order of the page."""
    return [_loss(run), *(_plain(run, look) for look in _LOOKS)]


@dataclass(frozen=True)
class _Look:
    """How one training metric is drawn and told."""

    metric: str
    title: str
    axis: str
    caption: str
    scale: float = 1.0
    middle: bool = False  # draw the median
    digits: int = 4


_LOOKS = (
    _Look("lr", "Learning rate", "learning rate", "Learning rate of AdamW after warm-up and decay"),
    _Look(
        "tokens_per_second",
        "Throughput",
        "tokens per second",
        "Tokens per second of the logged stretches; the first may hold a compilation",
        middle=True,
    ),
    _Look(
        "memory_bytes",
        "Memory",
        "resident memory (MB)",
        "Resident memory of the process in MB",
        scale=1e-6,
        digits=3,
    ),
    _Look("grad_norm", "Gradient norm", "gradient norm", "Global L2 norm of the gradients before clipping"),
)


def _loss(run: RunFacts) -> Chart:
    title = "Loss"
    train, held = run.curve("train", "loss"), run.curve("validation", "loss")
    if not train and not held:
        return _absent("loss", title)
    mean = smoothed(train)

    def fill(axes: Any) -> None:
        if train:
            faint = {"alpha": 0.4, "linewidth": 1.0} if mean else {}
            _line(axes, train, "one", label="training", **faint)
        if mean:
            _line(axes, mean, "one", label="training, smoothed")
        if held:
            points = thinned(held)
            style = {"linestyle": "--", "marker": "o", "markersize": 3.5, "color": paint("two")}
            axes.plot(points.steps, points.values, label="validation", **style)
        _frame(axes, "loss (nats per token)")
        axes.legend(loc="upper right")

    parts = [f"Cross-entropy in nats per token. Training {_told(train)}" if train else ""]
    if mean:
        parts.append(f"smoothed by an exponential mean over about {smoothing_span(train)} records")
    if held:
        parts.append(f"validation {_told(held)}")
    return Chart("loss", title, _sentence(parts), draw("loss", fill, labelled_by="caption-loss"))


def _plain(run: RunFacts, look: _Look) -> Chart:
    series = _scaled(run.curve("train", look.metric), look.scale)
    if not series:
        return _absent(look.metric, look.title)
    finite = [value for value in series.values if math.isfinite(value)]
    middle = statistics.median(finite) if finite and look.middle else None
    wide = bool(finite) and min(finite) > 0 and max(finite) > 20 * statistics.median(finite)

    def fill(axes: Any) -> None:
        _line(axes, series, "one")
        if middle is not None:
            axes.axhline(middle, color=paint("two"), linestyle="--", linewidth=1.2, label="median")
            axes.legend(loc="lower right")
        _frame(axes, look.axis, highest=max(finite, default=1.0), log=wide)

    parts = [f"{look.caption}: {_told(series, digits=look.digits)}"]
    if middle is not None:
        parts.append(f"median {number(middle)}")
    if wide:
        parts.append("logarithmic scale")
    key = look.metric.replace("_", "-")
    return Chart(key, look.title, _sentence(parts), draw(key, fill, labelled_by=f"caption-{key}"))


def _absent(metric: str, title: str) -> Chart:
    return Chart(metric.replace("_", "-"), title, f"This run did not record the metric '{metric}'.", None)


def _scaled(series: Series, factor: float) -> Series:
    return Series(series.steps, tuple(value * factor for value in series.values))


def _line(axes: Any, series: Series, colour: str, **style: Any) -> None:
    """The curve; a value that is not finite leaves a gap and a cross on the axis of steps."""
    points = thinned(series)
    if len(points.steps) <= 30:
        style = {"marker": ".", "markersize": 5, **style}
    shown = [value if math.isfinite(value) else math.nan for value in points.values]
    axes.plot(points.steps, shown, color=paint(colour), **style)
    broken = [step for step, value in points.pairs() if not math.isfinite(value)]
    if broken:
        place = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.plot(broken, [0.0] * len(broken), "x", color=paint("bad"), markersize=5, **place)


def _frame(axes: Any, label: str, *, highest: float | None = None, log: bool = False) -> None:
    """Labels and scales; the axis of values starts at 0 where *highest* is given and not *log*."""
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(label)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    if label.startswith("tokens"):
        axes.yaxis.set_major_formatter("{x:,.0f}")
    if log:
        axes.set_yscale("log")
    elif highest is not None:
        axes.set_ylim(0, 1.08 * highest if highest > 0 else 1.0)


def _told(series: Series, *, digits: int = 4) -> str:
    """A curve in words: its ends and its extremes."""
    finite = [(value, step) for step, value in series.pairs() if math.isfinite(value)]
    broken = len(series.steps) - len(finite)
    gaps = f", {broken} values not finite (red crosses)" if broken else ""
    if not finite:
        return f"no finite value{gaps}"
    (_, start), (_, end) = finite[0], finite[-1]
    told = [number(value, digits=digits) for value, _ in (finite[0], finite[-1], min(finite), max(finite))]
    first, last, low, high = told
    return f"{first} at step {start:,} to {last} at step {end:,}, lowest {low}, highest {high}{gaps}"


def _sentence(parts: list[str]) -> str:
    text = "; ".join(part for part in parts if part)
    return f"{text[:1].upper()}{text[1:]}."
