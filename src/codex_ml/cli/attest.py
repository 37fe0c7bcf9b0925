"""`codex-ml attest key|sign|verify`: whose a model is, and whether it is what its statement says."""

from __future__ import annotations

from pathlib import Path

import click

from codex_ml.cli.common import Invocation, common_options

_KEY = click.Path(path_type=Path, dir_okay=False)


@click.group("attest")
def command() -> None:
    """Sign what a run exported with a key of your own, and check such a signature. Offline."""


@command.command("key")
@common_options
@click.argument("path", type=_KEY)
def key(invocation: Invocation, path: Path) -> None:
    """Make a key: PATH for you alone, PATH.pub for everybody."""
    from codex_ml.provenance.signing import make_key

    public = make_key(path)
    invocation.emit({"private": str(path), "public": str(public)}, f"{path} signs, {public} verifies")


@command.command("sign")
@common_options
@click.argument("run")
@click.option("--key", "private_key", type=_KEY, required=True, help="Your private key.")
def sign(invocation: Invocation, run: str, private_key: Path) -> None:
    """Sign the statement (DSSE) and the export (OpenSSF model-signing) of a finished run."""
    from codex_ml.pipeline.attestations import sign_run
    from codex_ml.provenance.run_directory import find_run

    directory = find_run(invocation.home.runs, run)
    with directory.locked():
        signed = sign_run(directory, private_key=private_key)
    text = f"signed by {signed['key_id'][:12]}: {signed['envelope']}\n  and {signed['signature']}"
    invocation.emit({"run": directory.name, **signed}, text)


@command.command("verify")
@common_options
@click.argument("run")
@click.option("--key", "public_key", type=_KEY, help="The public key of who signed; without: no signature.")
def verify(invocation: Invocation, run: str, public_key: Path | None) -> int:
    """Compare statement, bytes and signatures; exit 3 when something does not hold."""
    from codex_ml.pipeline.attestations import verify_attestation
    from codex_ml.provenance.run_directory import find_run

    directory = find_run(invocation.home.runs, run)
    checks = verify_attestation(directory, public_key=public_key)
    faults = [check for check in checks if check.fault]
    lines = [
        f"{'FAULT' if check.fault else 'ok':<6}{check.what}  {check.fault or check.note or ''}".rstrip()
        for check in checks
    ]
    unsigned = "; no signature was looked at (--key PUBLIC)" if public_key is None else ""
    looked = [check for check in checks if check.note is None]
    end = f"{len(faults)} of {len(looked)} do not hold" if faults else f"all {len(looked)} hold{unsigned}"
    rows = [check.as_dict() for check in checks]
    invocation.emit({"run": directory.name, "checks": rows, "ok": not faults}, "\n".join([*lines, end]))
    return 3 if faults else 0
