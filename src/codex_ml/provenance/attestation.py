"""attestation.json: an in-toto Statement v1 over ``export/`` with a SLSA provenance v1 predicate.

Subjects are the files of the export by sha256; the predicate says from which data, tokenizer, code and
weights, by which run and with which config they were made (https://in-toto.io/Statement/v1,
https://slsa.dev/spec/v1.0).
Every claim in it is one that `codex-ml attest verify` can compare with bytes or with the run's manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from codex_ml.core.digest import digest_file, digest_json
from codex_ml.core.redact import redact_value
from codex_ml.provenance.facts import latest_provenance, run_facts
from codex_ml.provenance.pseudonyms import without_homes
from codex_ml.provenance.run_directory import RunDirectory

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
#: There is no address to visit behind these; they name what was done, and by whom: this machine.
BUILD_TYPE = "urn:codex-ml:pipeline:1"
BUILDER = "urn:codex-ml:builder:local"
FILE = "attestation.json"


def subjects(directory: RunDirectory) -> list[dict[str, Any]]:
    """Every file of the export with its sha256, by name."""
    files = (path for path in sorted(directory.export.rglob("*")) if path.is_file())
    return [
        {"name": path.relative_to(directory.path).as_posix(), "digest": {"sha256": digest_file(path)}}
        for path in files
    ]


def statement(record: Mapping[str, Any], *, over: list[dict[str, Any]], finished: float) -> dict[str, Any]:
    """The statement of a finished run; *finished* is when its export was made (seconds since 1970)."""
    return {
        "_type": STATEMENT,
        "subject": over,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "config": without_homes(redact_value(record["config"], known=False)),
                    "identity_sha256": record["identity_sha256"],
                },
                "internalParameters": {"resolved": record["resolved"], "facts": run_facts(record)},
                "resolvedDependencies": list(_dependencies(record)),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": _versions(record)},
                "metadata": {
                    "invocationId": str(record["run_id"]),
                    "startedOn": _time(record["created"]),
                    "finishedOn": _time(finished),
                },
                "byproducts": [{"name": "weights", "digest": {"sha256": record["result"]["weights_sha256"]}}],
            },
        },
    }


def _dependencies(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What went in, as resource descriptors: each by a name and a digest."""
    inputs, provenance = record["inputs"], latest_provenance(record)
    for name, key in (("dataset", "dataset"), ("tokenizer", "tokenizer"), ("codex-ml", "code")):
        yield {"name": name, "digest": {"sha256": inputs[key]}}
    if inputs.get("base_weights"):
        yield {"name": "base weights", "digest": {"sha256": inputs["base_weights"]}}
    for parent in record.get("parents", []):
        yield {"name": f"weights of {parent['run']}", "digest": {"sha256": parent["weights_sha256"]}}
    code = provenance.get("code") or {}
    if code.get("commit"):
        yield {"name": "working directory", "digest": {"gitCommit": code["commit"]}}
    environment = provenance.get("environment") or {}
    for name, sha256 in (environment.get("locks") or {}).items():
        yield {"name": name, "digest": {"sha256": sha256}}


def _versions(record: Mapping[str, Any]) -> dict[str, str]:
    environment = latest_provenance(record).get("environment") or {}
    packages = environment.get("packages") or {}
    versions = {"codex-ml": environment.get("codex_ml", {}).get("version", "unknown")}
    versions["python"] = environment.get("python", {}).get("version", "unknown")
    return versions | {
        name: packages[name]["version"] for name in ("torch", "transformers") if name in packages
    }


def _time(seconds: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def differences(stored: Mapping[str, Any], directory: RunDirectory) -> Iterator[tuple[str, str | None]]:
    """What of a statement was compared with bytes and manifest, and where it does not hold (else None)."""
    try:
        claimed = {row["name"]: row["digest"]["sha256"] for row in stored["subject"]}
        made = stored["predicate"]["runDetails"]["metadata"]["finishedOn"]
        finished = datetime.strptime(made, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except (KeyError, TypeError, ValueError) as error:
        yield FILE, f"it is no statement: {type(error).__name__} {error}"
        return
    present = {row["name"]: row["digest"]["sha256"] for row in subjects(directory)}
    for name in sorted({*claimed, *present}):
        if name not in claimed:
            yield name, "the statement does not name it"
        elif name not in present:
            yield name, "it is missing"
        else:
            yield name, None if claimed[name] == present[name] else "it has other bytes than stated"
    wanted = statement(directory.read(), over=list(stored["subject"]), finished=finished)
    same = digest_json(wanted) == digest_json(stored)
    yield "provenance", None if same else "it is not what run.json says of this run"
