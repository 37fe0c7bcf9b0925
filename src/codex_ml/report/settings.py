"""What was asked for, what ran, on which machine, and the digests that prove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex_ml.config.keys import flatten
from codex_ml.data.prepare import DatasetRef
from codex_ml.data.sft.prepare import SamplesRef
from codex_ml.provenance.facts import latest_provenance
from codex_ml.report.bars import Bar, bars
from codex_ml.report.facts import RunFacts
from codex_ml.report.numbers import ABSENT, duration, percent, setting, size, when

Rows = list[tuple[str, str]]
#: Label -> flat key of the recorded environment.
_MACHINE = (
    ("Host", "host"),
    ("Processor", "cpu.name"),
    ("Instruction sets", "cpu.isa"),
    ("Cores", "cpu.cores"),
    ("System", "system.distribution"),
    ("Kernel", "system.kernel"),
    ("C library", "system.libc"),
    ("Interpreter", "python.implementation"),
    ("Python", "python.version"),
    ("Torch", "torch.version"),
    ("CPU capability of torch", "torch.cpu_capability"),
    ("Driver", "accelerators.driver"),
    ("CUDA", "torch.cuda"),
    ("codex-ml", "codex_ml.version"),
)
_GRADES = {
    "bitwise": "the same command on this machine gives the same bits, however often it is interrupted",
    "elastic": "the same bits also on any number of workers that divides the shards",
    "statistical": "equal within the noise of training; no equal bits are promised",
}
_SIZES = (("Memory", "memory_bytes"), ("Memory limit", "cgroup.memory_bytes"))


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
    order = ("prepare", "train", "evaluate", "sample", "export", "attest")
    names = [name for name in order if name in seconds] + sorted(set(seconds) - set(order))
    total = sum(seconds.values())
    rows = [
        (name, seconds[name], f"{duration(seconds[name])} · {percent(seconds[name] / total if total else 0)}")
        for name in names
    ]
    return bars(rows, of="sum")


def machine(run: RunFacts) -> Rows:
    """The machine and the interpreter; facts that an older run lacks are left out."""
    provenance = latest_provenance(run.record)
    environment: Mapping[str, Any] = provenance.get("environment") or {}
    facts = flatten(environment)
    rows = [(label, setting(facts[key])) for label, key in _MACHINE if facts.get(key) is not None]
    rows += [(label, size(facts[key])) for label, key in _SIZES if facts.get(key) is not None]
    for gpu in (environment.get("accelerators") or {}).get("gpus") or []:
        rows.append(
            ("GPU", f"{gpu.get('name')}, {size(gpu['memory_bytes']) if gpu.get('memory_bytes') else ''}")
        )
    recorded = (environment.get("variables") or {}).get("recorded") or {}
    rows += [(str(name), str(value)) for name, value in recorded.items()]
    if offline := provenance.get("offline"):
        rows.append(("Network", "allowed" if offline.get("allowed") else "not allowed"))
    return rows


def packages(run: RunFacts) -> Rows:
    """Every distribution with its version."""
    found = (latest_provenance(run.record).get("environment") or {}).get("packages") or {}
    return [(str(name), str(facts["version"])) for name, facts in found.items()]


def digests(run: RunFacts, *, dataset: DatasetRef | SamplesRef) -> Rows:
    """The names by which this run can be checked."""
    record, code = run.record, latest_provenance(run.record).get("code") or {}
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
    if code.get("commit"):
        state = "with uncommitted changes" if code.get("dirty") else "clean"
        branch = code.get("branch") or "no branch"
        rows.append(("Git of the working directory", f"{code['commit']} ({branch}, {state})"))
    return rows


def segments(run: RunFacts) -> list[str]:
    """When the run was started and went on."""
    return [when(segment["started"]) for segment in run.record.get("segments", [])]


def grade(run: RunFacts) -> tuple[str, list[str]]:
    """The determinism grade in a sentence, and what lowered it."""
    resolved = run.record.get("resolved", {})
    name = str(resolved.get("grade", "unknown"))
    return f"{name}: {_GRADES.get(name, 'no promise is recorded')}.", list(resolved.get("lowered_by") or [])


def lineage(run: RunFacts) -> dict[str, Any] | None:
    """Licences as bars and where the weights come from; None while no ``lineage.json`` is there."""
    found = run.lineage
    if found is None:
        return None
    shares = [
        (name, float(row["tokens"]), f"{row['documents']:,} documents · {row['tokens']:,} tokens")
        for name, row in found["licences"].items()
    ]
    parents = [
        f"{row['run']}, step {row['step']:,} ({row['weights_sha256'][:12]})" for row in found["parents"]
    ]
    return {
        "summary": f"{found['documents']:,} documents of {found['sources']:,} source files, "
        f"whose Merkle root is {found['merkle_root'][:12]}.",
        "licences": bars(shares, of="sum"),
        "parents": parents,
    }
