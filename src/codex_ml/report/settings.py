"""What was asked for, what ran, on which machine, and the digests that prove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex_ml.data.prepare import DatasetRef
from codex_ml.data.sft.prepare import SamplesRef
from codex_ml.report.bars import Bar, bars
from codex_ml.report.facts import RunFacts
from codex_ml.report.numbers import ABSENT, duration, percent, setting, size, when

Rows = list[tuple[str, str]]


def asked_and_ran(run: RunFacts) -> list[tuple[str, str, str, str]]:
    """Key, asked, ran and why, for all that was decided at run time; keys asked for come first."""
    asked: Mapping[str, Any] = run.record["config"].get("runtime", {})
    ran: Mapping[str, Any] = run.record.get("resolved", {})
    keys = [*asked, *(key for key in ran if key not in asked and not key.endswith("_reason"))]
    return [
        (
            key.replace("_", " "),
            setting(asked[key]) if key in asked else ABSENT,
            setting(ran[key]) if key in ran else "as asked",
            str(ran.get(f"{key}_reason", "")),
        )
        for key in keys
    ]


def config_sections(run: RunFacts) -> dict[str, Rows]:
    """The asked config: one table a section, nested keys by dotted names."""
    config: Mapping[str, Any] = run.record["config"]
    plain = {key: value for key, value in config.items() if not isinstance(value, Mapping)}
    nested = {key: value for key, value in config.items() if isinstance(value, Mapping)}
    return {"run": _flat(plain), **{name: _flat(values) for name, values in nested.items()}}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Rows:
    rows: Rows = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", setting(value)))
    return rows


def stage_times(run: RunFacts) -> list[Bar]:
    """How long each stage of the pipeline took, in its order."""
    seconds: Mapping[str, float] = run.result.get("seconds", {})
    order = ("prepare", "train", "evaluate", "sample", "export")
    names = [name for name in order if name in seconds] + sorted(set(seconds) - set(order))
    total = sum(seconds.values())
    rows = [
        (name, seconds[name], f"{duration(seconds[name])} · {percent(seconds[name] / total if total else 0)}")
        for name in names
    ]
    return bars(rows, of="sum")


def machine(run: RunFacts) -> Rows:
    """The machine and the interpreter; facts that an older run lacks are left out."""
    environment: Mapping[str, Any] = run.record.get("provenance", {}).get("environment", {})
    offline: Mapping[str, Any] = run.record.get("provenance", {}).get("offline", {})
    names = {"cpu": "Processor", "cores": "Cores", "platform": "Platform", "implementation": "Interpreter"}
    rows = [(label, setting(environment[key])) for key, label in names.items() if key in environment]
    if "memory_bytes" in environment:
        rows.insert(2, ("Memory", size(environment["memory_bytes"])))
    rows += [("Python", str(environment["python"]))] if "python" in environment else []
    rows += [("codex-ml", str(environment["codex_ml"]["version"]))] if "codex_ml" in environment else []
    rows += [(key, str(value)) for key, value in environment.get("variables", {}).items()]
    if offline:
        rows.append(("Network", "allowed" if offline.get("allowed") else "not allowed"))
    return rows


def packages(run: RunFacts) -> Rows:
    found: Mapping[str, str] = run.record.get("provenance", {}).get("environment", {}).get("packages", {})
    return [(str(name), str(version)) for name, version in found.items()]


def digests(run: RunFacts, *, dataset: DatasetRef | SamplesRef) -> Rows:
    """The names by which this run can be checked."""
    record, git = run.record, run.record.get("provenance", {}).get("git")
    rows = [
        ("Run id", str(record["run_id"])),
        ("Identity", str(record["identity_sha256"])),
        ("Weights", str(run.result.get("weights_sha256") or "not known yet")),
        ("Code", str(record["inputs"]["code"])),
        ("Dataset", dataset.digest),
        ("Tokenizer", dataset.tokenizer.digest),
    ]
    inputs = dataset.manifest if isinstance(dataset, SamplesRef) else dataset.corpus.manifest
    rows.append(("Input files", str(inputs["inputs_sha256"])))
    if not isinstance(dataset, SamplesRef):
        rows.append(("Corpus", dataset.corpus.digest))
    if base := record["inputs"].get("base_weights"):
        rows.append(("Base weights", str(base)))
    if git:
        state = "with uncommitted changes" if git.get("dirty") else "clean"
        rows.append(("Git of the working directory", f"{git['commit']} ({git.get('branch')}, {state})"))
    return rows


def segments(run: RunFacts) -> list[str]:
    """When the run was started and went on."""
    return [when(segment["started"]) for segment in run.record.get("segments", [])]
