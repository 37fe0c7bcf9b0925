"""Stages ``lineage`` and ``attest``: where a model comes from and what it is made of, for others to check."""

from __future__ import annotations

from codex_ml.core.publish import read_json, write_json
from codex_ml.pipeline.context import Work
from codex_ml.pipeline.run_data import run_data
from codex_ml.provenance import attestation, sbom, signing

LINEAGE = "lineage.json"


def lineage(work: Work) -> None:
    """Write ``lineage.json``: what the run was trained on, with the licences that are stated plainly."""
    path = work.directory.path / LINEAGE
    if path.is_file():
        return
    found = run_data(work.directory, home=work.request.home)
    work.directory.unseal(work.record)
    write_json(path, {**found.summary(), "run": work.directory.name})


def attest(work: Work) -> None:
    """Write ``attestation.json`` and ``sbom.cdx.json`` where the export has none yet.

    Signatures of an older export are removed: they would be of something else.
    """
    directory = work.directory
    statement, bill = directory.path / attestation.FILE, directory.path / sbom.FILE
    over = attestation.subjects(directory)
    if statement.is_file() and bill.is_file() and read_json(statement).get("subject") == over:
        return
    work.directory.unseal(work.record)
    for name in (signing.ENVELOPE, signing.SIGNATURE):
        (directory.path / name).unlink(missing_ok=True)
    finished = max(path.stat().st_mtime for path in directory.export.rglob("*"))
    write_json(statement, attestation.statement(work.record, over=over, finished=finished))
    write_json(bill, sbom.bill_of_materials(work.record, finished=finished))
