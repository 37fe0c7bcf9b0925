"""`codex-ml attest key|sign|verify` on a finished run; what it writes, by other tools."""

from __future__ import annotations

import json
import random
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("train", "report", "attest")


@pytest.fixture(scope="module")
def signed(trained: Path, tmp_path_factory: pytest.TempPathFactory, cli) -> Path:
    """A workspace whose run ``tiny`` is signed by ``key``; ``other.pub`` is another key."""
    root = tmp_path_factory.mktemp("signed")
    home = root / "home"
    shutil.copytree(trained, home)
    for name in ("key", "other"):
        assert cli(home, "attest", "key", str(home / name), "--json").code == 0
    done = cli(home, "attest", "sign", "tiny", "--key", str(home / "key"), "--json")
    assert done.code == 0, done.err
    return home


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(signed, home)
    return home


def faults(done) -> dict[str, str]:
    return {check["what"]: check["fault"] for check in done.json["checks"] if check["fault"]}


def test_what_was_signed_verifies_and_only_with_the_key_of_who_signed_it(signed: Path, cli) -> None:
    done = cli(signed, "attest", "verify", "tiny", "--key", str(signed / "key.pub"), "--json")
    assert (done.code, faults(done)) == (0, {}), done.err
    other = cli(signed, "attest", "verify", "tiny", "--key", str(signed / "other.pub"), "--json")
    assert other.code == 3 and set(faults(other)) == {"attestation.dsse.json", "export.sig"}
    bare = cli(signed, "attest", "verify", "tiny", "--json")
    assert bare.code == 0 and any(check["note"] for check in bare.json["checks"])
    assert cli(signed, "verify", "tiny", "--json").code == 0


def test_a_private_key_is_for_its_owner_alone_and_nothing_is_overwritten(signed: Path, cli) -> None:
    assert stat.S_IMODE((signed / "key").stat().st_mode) == 0o600
    again = cli(signed, "attest", "key", str(signed / "key"), "--json")
    assert (again.code, again.json["error"]["code"]) == (2, "attest.exists")


def test_the_statement_is_what_in_toto_and_slsa_say_it_must_be(signed: Path) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    stored = json.loads((signed / "runs" / "tiny" / "attestation.json").read_text(encoding="utf-8"))
    parsed = json_format.ParseDict(stored, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    predicate = json_format.ParseDict(stored["predicate"], provenance_pb2.Provenance())
    assert predicate.run_details.builder.id and predicate.build_definition.build_type
    assert {row["name"] for row in stored["subject"]} >= {"export/model.safetensors", "export/README.md"}
    names = {
        row["name"]: row["digest"] for row in stored["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    record = json.loads((signed / "runs" / "tiny" / "run.json").read_text(encoding="utf-8"))
    assert names["dataset"] == {"sha256": record["inputs"]["dataset"]}
    assert names["codex-ml"] == {"sha256": record["inputs"]["code"]}


def test_the_bill_of_materials_is_valid_cyclonedx_with_the_model_and_what_was_installed(signed: Path) -> None:
    from importlib.metadata import version

    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (signed / "runs" / "tiny" / "sbom.cdx.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    model = bill["metadata"]["component"]
    record = json.loads((signed / "runs" / "tiny" / "run.json").read_text(encoding="utf-8"))
    assert (model["type"], model["name"]) == ("machine-learning-model", "tiny")
    assert model["hashes"][0]["content"] == record["result"]["weights_sha256"]
    measured = {
        row["type"]: float(row["value"])
        for row in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    }
    assert measured["loss"] == pytest.approx(record["result"]["metrics"]["loss"], rel=1e-5)
    assert f"pkg:pypi/torch@{version('torch')}" in {part.get("purl") for part in bill["components"]}


def test_the_signature_of_the_export_is_accepted_by_model_signings_own_command(signed: Path) -> None:
    run = signed / "runs" / "tiny"
    words = ["verify", "key", str(run / "export"), "--signature", str(run / "export.sig")]
    done = subprocess.run(
        [sys.executable, "-m", "model_signing", *words, "--public_key", str(signed / "key.pub")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_any_changed_byte_of_export_statement_or_signature_is_found(copy: Path) -> None:
    from codex_ml.pipeline.attestations import verify_attestation
    from codex_ml.provenance.run_directory import RunDirectory

    run = RunDirectory(copy / "runs" / "tiny")
    files = [*sorted(path for path in run.export.rglob("*") if path.is_file())]
    files += [run.path / name for name in ("attestation.json", "attestation.dsse.json", "export.sig")]
    draws = random.Random(7)
    for number in range(100):
        path = files[number % len(files)]
        raw = bytearray(path.read_bytes())
        place = draws.randrange(len(raw))
        # A digit, a letter or a byte of weights: white space of JSON is no part of what is stated.
        while chr(raw[place]).isspace():
            place = draws.randrange(len(raw))
        before = raw[place]
        raw[place] = before ^ 1
        path.write_bytes(raw)
        found = [check for check in verify_attestation(run, public_key=copy / "key.pub") if check.fault]
        assert found, f"{path.name}, byte {place}"
        raw[place] = before
        path.write_bytes(raw)
    assert not [check for check in verify_attestation(run, public_key=copy / "key.pub") if check.fault]


def test_a_file_put_beside_the_export_and_a_missing_one_are_found(copy: Path, cli) -> None:
    export = copy / "runs" / "tiny" / "export"
    (export / "more.bin").write_bytes(b"payload")
    (export / "README.md").unlink()
    done = cli(copy, "attest", "verify", "tiny", "--json")
    assert done.code == 3
    assert faults(done) == {
        "export/more.bin": "the statement does not name it",
        "export/README.md": "it is missing",
    }
    refused = cli(copy, "attest", "sign", "tiny", "--key", str(copy / "key"), "--json")
    assert refused.json["error"]["code"] == "attest.false"


@pytest.mark.parametrize(
    "content",
    [b"", b"no key", b"-----BEGIN %s-----\nAAAA\n-----END %s-----\n" % ((b"PRIVATE " + b"KEY",) * 2)],
)
def test_what_is_no_key_is_refused(content: bytes, copy: Path, cli) -> None:
    (copy / "bad").write_bytes(content)
    done = cli(copy, "attest", "sign", "tiny", "--key", str(copy / "bad"), "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "attest.key")
    assert "codex-ml attest key" in done.json["error"]["next"]


def test_a_run_that_has_stated_nothing_says_what_to_do(copy: Path, cli) -> None:
    (copy / "runs" / "tiny" / "attestation.json").unlink()
    done = cli(copy, "attest", "verify", "tiny", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "attest.missing")
