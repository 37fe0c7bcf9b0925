"""Read what a run left on disk; nothing here computes a metric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex_ml.core.ndjson import read
from codex_ml.core.publish import read_json
from codex_ml.monitoring.summary import samples
from codex_ml.provenance.run_directory import RunDirectory


@dataclass(frozen=True)
class Series:
    """One metric by step; a step that was logged twice counts as logged last. Values may be NaN."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __bool__(self) -> bool:
        return bool(self.steps)

    def pairs(self) -> Iterator[tuple[int, float]]:
        """Step and value, in the order of the steps."""
        return zip(self.steps, self.values, strict=True)


EMPTY = Series((), ())


@dataclass(frozen=True)
class RunFacts:
    """A run as found: its manifest, its curves, and the files of its evaluations and samples.

    *system* holds readings of the machine by seconds of work; *lineage* what ``lineage.json`` says.
    """

    name: str
    record: dict[str, Any]
    curves: dict[tuple[str, str], Series]
    last_written: float | None
    evaluations: list[dict[str, Any]]
    samples: dict[str, Any] | None
    samples_file: str
    system: dict[str, Series] = field(default_factory=dict)
    lineage: dict[str, Any] | None = None

    def curve(self, split: str, metric: str) -> Series:
        """A metric logged during training; empty when it was not."""
        return self.curves.get((split, metric), EMPTY)

    @property
    def result(self) -> dict[str, Any]:
        """The part of the manifest that the finished pipeline adds; empty before."""
        return self.record.get("result") or {}


def read_facts(directory: RunDirectory) -> RunFacts:
    """Raises UsageError when there is no run, IntegrityError when one of its files is damaged."""
    record = directory.read()
    curves, last = _read_curves(directory.metrics)
    weights = (record.get("result") or {}).get("weights_sha256")
    samples_file = _newest(directory.samples, weights=weights)
    return RunFacts(
        name=directory.name,
        record=record,
        curves=curves,
        last_written=last,
        evaluations=_read_evaluations(directory.evaluations),
        samples=read_json(samples_file) if samples_file else None,
        samples_file=f"samples/{samples_file.name}" if samples_file else "",
        system=_read_system(directory.path / "system.ndjson", most=_gap(record)),
        lineage=read_json(lineage) if (lineage := directory.path / "lineage.json").is_file() else None,
    )


def _gap(record: dict[str, Any]) -> float:
    """Seconds without a sample after which a run was at rest, and its sampler not merely slow."""
    every = float(record["config"].get("tracking", {}).get("system_every") or 0.0)
    return max(60.0, 3 * every)


def _read_system(path: Path, *, most: float) -> dict[str, Series]:
    """Every reading of the machine by whole seconds at work; gaps of more than *most* are left out."""
    points: dict[str, dict[int, float]] = {}
    before, clock = None, 0.0
    for row in samples(path):
        now = row["ts"]
        passed = max(0.0, now - (before if before is not None else now))
        clock += passed if passed <= most else 1.0
        before = now
        for name, value in row.items():
            if name not in ("run_id", "ts", "step"):
                points.setdefault(name, {})[round(clock)] = value
    return {name: Series(tuple(found), tuple(found.values())) for name, found in points.items()}


def _read_curves(path: Path) -> tuple[dict[tuple[str, str], Series], float | None]:
    points: dict[tuple[str, str], dict[int, float]] = {}
    last: float | None = None
    for row in read(path, fields=("ts", "phase", "split", "metric", "step", "value")):
        last = max(last or 0.0, float(row["ts"]))
        if row["phase"] == "train":
            points.setdefault((row["split"], row["metric"]), {})[int(row["step"])] = float(row["value"])
    curves = {}
    for key, by_step in points.items():
        steps = sorted(by_step)
        curves[key] = Series(tuple(steps), tuple(by_step[step] for step in steps))
    return curves, last


def _read_evaluations(folder: Path) -> list[dict[str, Any]]:
    """Every stored evaluation, newest step first; each also says its ``file`` and ``step``."""
    found = []
    for path in sorted(folder.glob("step-*.json"), reverse=True):
        step = path.stem.split("-")[1]
        found.append({**read_json(path), "file": f"eval/{path.name}", "step": int(step)})
    return found


def _newest(folder: Path, *, weights: str | None) -> Path | None:
    """The newest samples, those of the final weights before all others."""
    files = sorted(folder.glob("step-*.json"), reverse=True)
    for path in files:
        if weights and read_json(path).get("asked", {}).get("weights") == weights:
            return path
    return files[0] if files else None
