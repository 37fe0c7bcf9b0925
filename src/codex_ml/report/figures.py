"""The key figures of a run, and its evaluations in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codex_ml.report.bars import Bar, bars
from codex_ml.report.facts import RunFacts
from codex_ml.report.numbers import duration, number, parameters, percent, when


@dataclass(frozen=True)
class Card:
    """One figure: what, how much, and a line that says how to read it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class _Metric:
    label: str
    note: str
    share: bool = False


#: The metrics that the page knows by name, in its order; others are shown under their own names.
_METRICS = {
    "bits_per_byte": _Metric("Bits per byte", "held-out text; lower is better"),
    "loss": _Metric("Held-out loss", "nats per token"),
    "perplexity": _Metric("Perplexity", "per token"),
    "token_accuracy": _Metric("Token accuracy", "next token guessed right", share=True),
    "parse_rate": _Metric("Parse rate", "samples that are valid Python", share=True),
    "xz_bits_per_byte": _Metric("xz -9, bits per byte", "same files, one by one"),
    "gzip_bits_per_byte": _Metric("gzip -9, bits per byte", "same files, one by one"),
}
_ON_CARDS = ("bits_per_byte", "loss", "perplexity", "token_accuracy", "parse_rate")


def cards(run: RunFacts) -> list[Card]:
    """The figures for the top of the page; what the run does not have yet is left out."""
    result = run.result
    measured = result.get("metrics", {})
    found = [
        Card(metric.label, _value(name, float(measured[name])), metric.note)
        for name, metric in _METRICS.items()
        if name in _ON_CARDS and name in measured
    ]
    found += _training_cards(run) if not measured else []
    if "tokens_per_second" in measured:
        speed = number(float(measured["tokens_per_second"]), digits=3)
        found.append(Card("Training speed", speed, "tokens per second, median"))
    if "parameters" in result:
        found.append(Card("Parameters", parameters(result["parameters"]), f"{result['parameters']:,}"))
    if "train" in result.get("seconds", {}):
        spent = duration(result["seconds"]["train"])
        found.append(Card("Training time", spent, "with checkpoints and evaluations"))
    return found


def _training_cards(run: RunFacts) -> list[Card]:
    """What training alone has logged, for a run that was not evaluated."""
    parts = (("train", "Training loss"), ("validation", "Validation loss"))
    return [
        Card(label, number(curve.values[-1]), f"nats per token at step {curve.steps[-1]:,}")
        for split, label in parts
        if (curve := run.curve(split, "loss"))
    ]


def compression(run: RunFacts) -> tuple[list[Bar], str]:
    """Bits per byte of the model beside those of compressors, and what to conclude; empty without."""
    measured = run.result.get("metrics", {})
    rows = {"this model": "bits_per_byte", "xz -9": "xz_bits_per_byte", "gzip -9": "gzip_bits_per_byte"}
    values = {label: float(measured[name]) for label, name in rows.items() if name in measured}
    shown = bars([(label, value, number(value, digits=4)) for label, value in values.items()], of="largest")
    if not {"this model", "xz -9"} <= set(values) or values["xz -9"] <= 0:
        return shown, ""
    ratio = values["this model"] / values["xz -9"]
    if ratio < 1:
        return shown, f"The model needs {percent(1 - ratio)} fewer bits than xz -9."
    return shown, f"The model needs {percent(ratio - 1)} more bits than xz -9."


@dataclass(frozen=True)
class EvaluationTable:
    """One stored evaluation: what was measured on, and rows of metric, value, interval, n."""

    title: str
    file: str
    rows: list[tuple[str, str, str, str]]


def evaluations(run: RunFacts) -> list[EvaluationTable]:
    return [_table(stored) for stored in run.evaluations]


def _table(stored: dict[str, Any]) -> EvaluationTable:
    metrics: dict[str, dict[str, Any]] = stored["metrics"]
    known = [name for name in _METRICS if name in metrics]
    rows = []
    for name in known + sorted(set(metrics) - set(known)):
        measured = metrics[name]
        label = _METRICS[name].label if name in _METRICS else name
        count = "" if measured.get("n") is None else f"{measured['n']:,}"
        rows.append((label, _value(name, float(measured["value"])), _interval(name, measured), count))
    asked = stored.get("asked", {})
    return EvaluationTable(f"Step {stored['step']:,}, split {asked.get('split', '?')}", stored["file"], rows)


def _interval(name: str, measured: dict[str, Any]) -> str:
    low, high = measured.get("ci_low"), measured.get("ci_high")
    return "" if low is None or high is None else f"{_value(name, float(low))} to {_value(name, float(high))}"


def _value(name: str, value: float) -> str:
    return percent(value) if name in _METRICS and _METRICS[name].share else number(value)


def validation_points(run: RunFacts, *, most: int = 8) -> list[tuple[str, str, str]]:
    """Step, loss and perplexity of evaluations during training: at most *most*, the last among them."""
    points = list(run.curve("validation", "loss").pairs())
    perplexity = dict(run.curve("validation", "perplexity").pairs())
    apart = max(1, -(-len(points) // most))
    return [
        (f"{step:,}", number(loss), number(perplexity[step]) if step in perplexity else "")
        for step, loss in reversed(points[::-1][::apart])
    ]


def missing(run: RunFacts) -> list[str]:
    """What a whole run has and this one does not, each as a sentence."""
    lacks = []
    if not run.result:
        lacks.append("The pipeline has not finished: run the same command again to go on.")
    if not run.curves:
        lacks.append("No training metrics were recorded.")
    if not run.evaluations:
        lacks.append("There is no evaluation of this run.")
    if run.samples is None:
        lacks.append("There are no samples of this run.")
    return lacks


def header(run: RunFacts) -> list[tuple[str, str]]:
    """The lines under the title."""
    result, resolved = run.result, run.record.get("resolved", {})
    lowered = ", ".join(str(name) for name in resolved.get("lowered_by") or [])
    grade = str(resolved.get("grade", "unknown"))
    steps = run.record["config"]["train"]["steps"]
    reached = result.get("step") or max((c.steps[-1] for c in run.curves.values()), default=0)
    rows = [
        ("Step", f"{reached:,} of {steps:,}"),
        ("Parameters", f"{result['parameters']:,}" if "parameters" in result else "not known yet"),
        ("Determinism", f"{grade}, lowered by {lowered}" if lowered else grade),
        ("Started", when(run.record["created"])),
    ]
    if run.last_written is not None:
        rows.append(("Finished" if result else "Last written", when(run.last_written)))
    rows.append(("Weights sha256", result.get("weights_sha256") or "not known yet"))
    return rows
