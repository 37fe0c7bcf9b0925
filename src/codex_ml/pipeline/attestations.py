"""Sign and verify what the stage ``attest`` stated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from codex_ml.core.digest import digest_file, digest_json
from codex_ml.core.publish import read_json
from codex_ml.errors import IntegrityError, UsageError
from codex_ml.pipeline.verify import Check
from codex_ml.provenance import attestation
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.provenance.signing import (
    ENVELOPE,
    SIGNATURE,
    export_fault,
    opened_statement,
    sign_export,
    sign_statement,
)


def sign_run(directory: RunDirectory, *, private_key: Path) -> dict[str, str]:
    """Sign a finished run whose statement holds. The caller holds the run's lock.

    Raises UsageError when there is nothing to sign, IntegrityError when the statement is not true.
    """
    statement = _statement(directory)
    for name, fault in attestation.differences(statement, directory):
        if fault is not None:
            raise IntegrityError(
                f"what '{directory.name}' states is not so, and is not signed",
                code="attest.false",
                got=f"{name}: {fault}",
                next_step="restore it, or run the pipeline again with the words of the run",
            )
    envelope, signature = directory.path / ENVELOPE, directory.path / SIGNATURE
    name = sign_statement(statement, private_key=private_key, out=envelope)
    sign_export(directory.export, private_key=private_key, out=signature)
    record = directory.read()
    if "files" in record:  # a run at rest: what was just written is part of it from now on
        record["files"] |= {path.name: digest_file(path) for path in (envelope, signature)}
        directory.write(record)
    return {"key_id": name, "envelope": str(envelope), "signature": str(signature)}


def verify_attestation(directory: RunDirectory, *, public_key: Path | None) -> list[Check]:
    """Every check of statement, bytes and, with *public_key*, signatures.

    Raises UsageError when there is no statement.
    """
    return list(_checks(directory, public_key))


def _checks(directory: RunDirectory, public_key: Path | None) -> Iterator[Check]:
    try:
        statement = _statement(directory)
    except IntegrityError as error:
        yield Check(attestation.FILE, error.line())
        return
    for name, fault in attestation.differences(statement, directory):
        yield Check(name, fault)
    if public_key is None:
        yield Check("signature", note="not looked at: give --key PUBLIC")
        return
    envelope, signature = directory.path / ENVELOPE, directory.path / SIGNATURE
    try:
        inside = opened_statement(envelope, public_key=public_key)
        same = digest_json(inside) == digest_json(statement)
        yield Check(ENVELOPE, None if same else f"it holds another statement than {attestation.FILE}")
    except IntegrityError as error:
        yield Check(ENVELOPE, error.line())
    if not signature.is_file():
        yield Check(SIGNATURE, "it is missing")
    else:
        yield Check(SIGNATURE, export_fault(directory.export, signature=signature, public_key=public_key))


def _statement(directory: RunDirectory) -> dict[str, object]:
    path = directory.path / attestation.FILE
    if not path.is_file():
        raise UsageError(
            f"the run '{directory.name}' states nothing yet",
            code="attest.missing",
            got=str(path),
            next_step="finish it with `codex-ml pipeline run` and the words of the run",
        )
    found: dict[str, object] = read_json(path)
    return found
