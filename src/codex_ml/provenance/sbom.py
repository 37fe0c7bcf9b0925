"""sbom.cdx.json: what a model is made of, a CycloneDX 1.6 bill of materials with the model and its card."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from codex_ml.core.digest import digest_json
from codex_ml.provenance.facts import latest_provenance, run_facts

FILE = "sbom.cdx.json"
SPEC = "1.6"


def bill_of_materials(record: Mapping[str, Any], *, finished: float) -> dict[str, Any]:
    """The bill of a finished run; equal runs give equal bytes. *finished* is in seconds since 1970."""
    model = f"model:{record['result']['weights_sha256']}"
    parts = list(_packages(record))
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(finished), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": _model(record, model),
        },
        "components": [*_data(record), *parts],
        "dependencies": [
            {"ref": model, "dependsOn": sorted(part["bom-ref"] for part in [*_data(record), *parts])}
        ],
    }
    serial = uuid.UUID(hex=digest_json(bom)[:32], version=5)
    return {**bom, "serialNumber": f"urn:uuid:{serial}"}


def _model(record: Mapping[str, Any], ref: str) -> dict[str, Any]:
    config, result = record["config"], record["result"]
    metrics = [{"type": name, "value": f"{value:.6g}"} for name, value in sorted(result["metrics"].items())]
    facts = [
        {"name": f"codex_ml:{name}", "value": value} for name, value in sorted(run_facts(record).items())
    ]
    base = record["inputs"].get("base_weights")
    return {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": str(record["name"]),
        "version": str(result["weights_sha256"])[:12],
        # The digest of the tensors by name, type and shape; the files have theirs in the statement.
        "hashes": [{"alg": "SHA-256", "content": result["weights_sha256"]}],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "self-supervised" if base is None else "supervised"},
                "task": "text-generation",
                "architectureFamily": "transformer",
                "modelArchitecture": str(config["model"]["name"]),
                "datasets": [{"ref": f"data:{record['inputs']['dataset']}"}],
                "inputs": [{"format": "text"}],
                "outputs": [{"format": "text"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": metrics},
        },
        "properties": facts,
    }


def _data(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Dataset, tokenizer and the weights that the run began with."""
    inputs = record["inputs"]
    yield _by_digest("data", "dataset", inputs["dataset"], ref="data")
    yield _by_digest("data", "tokenizer", inputs["tokenizer"], ref="tokenizer")
    if inputs.get("base_weights"):
        yield _by_digest("machine-learning-model", "base weights", inputs["base_weights"], ref="base")
    for parent in record.get("parents", []):
        name = f"weights of {parent['run']}"
        yield _by_digest("machine-learning-model", name, parent["weights_sha256"], ref="parent")


def _by_digest(kind: str, name: str, sha256: str, *, ref: str) -> dict[str, Any]:
    return {
        "type": kind,
        "bom-ref": f"{ref}:{sha256}",
        "name": name,
        "version": sha256[:12],
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }


def _packages(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The distributions that were installed at the last start."""
    environment = latest_provenance(record).get("environment") or {}
    for name, facts in (environment.get("packages") or {}).items():
        address = f"pkg:pypi/{name.lower().replace('_', '-')}@{facts['version']}"
        part: dict[str, Any] = {
            "type": "library",
            "bom-ref": address,
            "name": name,
            "version": facts["version"],
            "purl": address,
        }
        if facts.get("record_sha256"):
            # Of the contents as RECORD lists them, not of the wheel: a property, no hash of the component.
            part["properties"] = [{"name": "codex_ml:record_sha256", "value": facts["record_sha256"]}]
        yield part
