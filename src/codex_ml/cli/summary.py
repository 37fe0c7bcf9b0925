"""How a finished run is shown: figures, what they mean, completions, where to look next."""

from __future__ import annotations

import json
from typing import Any

from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.tracking.opening import read_health

#: metric -> (label, format), in the order of the table
_ROWS = {
    "loss": ("held-out loss (nats/token)", ".4f"),
    "perplexity": ("perplexity", ".2f"),
    "bits_per_byte": ("bits per byte", ".3f"),
    "xz_bits_per_byte": ("  xz -9 of the same files", ".3f"),
    "gzip_bits_per_byte": ("  gzip -9 of the same files", ".3f"),
    "token_accuracy": ("token accuracy", ".1%"),
    "parse_rate": ("samples that parse as Python", ".0%"),
    "tokens_per_second": ("training speed (tokens/s)", ",.0f"),
}


def run_record(directory: RunDirectory) -> dict[str, Any]:
    """What `runs show --json` gives."""
    record = directory.read()
    result = record.get("result") or {}
    return {
        "run": directory.name,
        "path": str(directory.path),
        "run_id": record["run_id"],
        "identity_sha256": record["identity_sha256"],
        "grade": record["resolved"]["grade"],
        "step": result.get("step"),
        "parameters": result.get("parameters"),
        "weights_sha256": result.get("weights_sha256"),
        "metrics": result.get("metrics", {}),
        "seconds": result.get("seconds", {}),
        "system": result.get("system"),
        "trackers": read_health(directory.path),
        "inputs": record["inputs"],
        "resolved": record["resolved"],
        "export": str(directory.export) if directory.export.is_dir() else None,
        "report": str(directory.report) if directory.report.is_file() else None,
    }


def run_summary(directory: RunDirectory) -> str:
    """The same for people."""
    record = run_record(directory)
    lines = [f"run {record['run']}  ({record['path']})", ""]
    for name, (label, form) in _ROWS.items():
        if name in record["metrics"]:
            lines.append(f"  {label:<32}{format(record['metrics'][name], form):>12}")
    if record["parameters"]:
        lines.append(f"  {'model size (parameters)':<32}{record['parameters']:>12,}")
    if record["weights_sha256"]:
        lines.append(f"  {'weights sha256':<32}{record['weights_sha256'][:12]:>12}")
    lines += _machine(record["system"])
    for name, health in record["trackers"].items():
        trouble = f": {health['error']}" if health["error"] else ""
        counts = f"{health['written']:,} records" + (
            f", {health['dropped']:,} lost" if health["dropped"] else ""
        )
        lines.append(f"  {f'tracker {name}':<32}{health['state']:>12}  {counts}{trouble}")
    if not record["metrics"]:
        lines.append("  not evaluated yet: run `codex-ml pipeline run` with the same words to finish it")
    lines += _completions(directory, record["step"])
    if record["report"]:
        lines += ["", "look next at:"]
        lines.append(f"  {record['report']}")
        lines.append(f"  codex-ml generate {record['run']} --prompt 'def main():' --max-tokens 60")
        lines.append(f"  {record['export']}  (loads in transformers)")
    return "\n".join(lines)


def _machine(system: dict[str, Any] | None) -> list[str]:
    """Peaks and means of the machine while the run trained."""
    if system is None:
        return []
    mean, peak = system["mean"], system["peak"]
    lines = []
    if "process_memory_bytes" in peak:
        lines.append(f"  {'memory, peak (GB)':<32}{peak['process_memory_bytes'] / 1e9:>12.2f}")
    if "process_cpu_percent" in mean:
        lines.append(f"  {'processor, mean (% of one core)':<32}{mean['process_cpu_percent']:>12.0f}")
    if "gpu0_utilisation_percent" in mean:
        lines.append(f"  {'GPU 0, mean utilisation (%)':<32}{mean['gpu0_utilisation_percent']:>12.0f}")
    return lines


def _completions(directory: RunDirectory, step: int | None) -> list[str]:
    file = directory.samples / f"step-{step or 0:08d}.json"
    if not file.is_file():
        return []
    lines = []
    for number, row in enumerate(json.loads(file.read_text(encoding="utf-8"))["samples"][:3], 1):
        lines += ["", f"--- completion {number}: the prompt, then after » what the model wrote"]
        text = f"{row['prompt']}»{row['completion']}"
        lines += [f"    {line}" for line in text.splitlines()[:14]]
    return lines
