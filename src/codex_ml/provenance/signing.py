"""Sign with a key of one's own, offline: the statement (DSSE) and the export (OpenSSF model-signing).

An envelope is ``{payloadType, payload, signatures}``, signed over the pre-authentication encoding of both
(https://github.com/secure-systems-lab/dsse, v1): ECDSA with SHA-256 on P-256, a key that model-signing takes.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from codex_ml.core.digest import canonical_json, digest_bytes
from codex_ml.core.optional import require
from codex_ml.core.publish import write_json, writing
from codex_ml.errors import IntegrityError, UsageError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVELOPE, SIGNATURE = "attestation.dsse.json", "export.sig"


def _cryptography(part: str) -> Any:
    return require(f"cryptography.hazmat.primitives{part}", extra="attest")


def make_key(path: Path) -> Path:
    """Write a new private key to *path*, readable by its owner alone, and the public one beside it.

    Returns the path of the public key. Raises UsageError when either exists.
    """
    public = path.with_name(f"{path.name}.pub")
    for file in (path, public):
        if file.exists():
            raise UsageError(
                f"{file} exists", code="attest.exists", next_step="choose another path for the key"
            )
    curve = _cryptography(".asymmetric.ec")
    forms = _cryptography(".serialization")
    key = curve.generate_private_key(curve.SECP256R1())
    secret = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secret)
        public.write_bytes(_public_bytes(key.public_key()))
    return public


def _public_bytes(key: Any) -> bytes:
    forms = _cryptography(".serialization")
    found: bytes = key.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    return found


def _load(path: Path, *, private: bool) -> Any:
    """The key in *path*. Raises UsageError when it is none, or of another curve."""
    forms, curve = _cryptography(".serialization"), _cryptography(".asymmetric.ec")
    wanted = f"a {'private' if private else 'public'} EC key on P-256 as PEM"
    step = "name the one that `codex-ml attest key` wrote" + ("" if private else ", which ends in .pub")
    try:
        raw = path.read_bytes()
        key = forms.load_pem_private_key(raw, None) if private else forms.load_pem_public_key(raw)
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it cannot be parsed"
        raise UsageError(
            f"{path} is no key", code="attest.key", got=reason, wanted=wanted, next_step=step
        ) from error
    if not isinstance(getattr(key, "curve", None), curve.SECP256R1):
        raise UsageError(f"{path} is another kind of key", code="attest.key", wanted=wanted, next_step=step)
    return key


def key_id(key: Any) -> str:
    """sha256 of the public key as PEM; names the key in an envelope."""
    return digest_bytes(_public_bytes(key))


def _encoded(payload: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign_statement(statement: dict[str, Any], *, private_key: Path, out: Path) -> str:
    """Write the envelope of *statement* to *out*; the id of the key."""
    curve, hashes = _cryptography(".asymmetric.ec"), _cryptography(".hashes")
    key = _load(private_key, private=True)
    payload = canonical_json(statement).encode()
    name = key_id(key.public_key())
    signature = key.sign(_encoded(payload), curve.ECDSA(hashes.SHA256()))
    signatures = [{"keyid": name, "sig": base64.b64encode(signature).decode()}]
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": signatures,
    }
    write_json(out, envelope)
    return name


def opened_statement(path: Path, *, public_key: Path) -> dict[str, Any]:
    """The statement inside the envelope *path*, once its signature by *public_key* holds.

    Raises IntegrityError when it does not, UsageError when there is no such key.
    """
    curve, hashes = _cryptography(".asymmetric.ec"), _cryptography(".hashes")
    invalid = require("cryptography.exceptions", extra="attest").InvalidSignature
    key = _load(public_key, private=False)
    try:
        envelope = json.loads(path.read_bytes())
        payload = base64.b64decode(envelope["payload"], validate=True)
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"payloadType {envelope['payloadType']}")
        given = [base64.b64decode(row["sig"], validate=True) for row in envelope["signatures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path} is no envelope",
            code="attest.envelope",
            got=readable(f"{type(error).__name__}: {error}"),
            next_step="sign the run again with `codex-ml attest sign`",
        ) from error
    for signature in given:
        try:
            key.verify(signature, _encoded(payload), curve.ECDSA(hashes.SHA256()))
        except invalid:
            continue
        found: dict[str, Any] = json.loads(payload)
        return found
    raise IntegrityError(
        f"no signature in {path} was made by this key",
        code="attest.signature",
        got=", ".join(str(row.get("keyid", "?"))[:12] for row in envelope["signatures"]),
        wanted=key_id(key)[:12],
        next_step="take the public key of who signed it; if it is the right one, the envelope was changed",
    )


def sign_export(export: Path, *, private_key: Path, out: Path) -> None:
    """Sign every file of *export* with model-signing; its own command verifies that, too."""
    _load(private_key, private=True)
    signing = require("model_signing.signing", extra="attest")
    with writing(out):
        signing.Config().use_elliptic_key_signer(private_key=private_key).sign(export, out)


def export_fault(export: Path, *, signature: Path, public_key: Path) -> str | None:
    """Why the signature of model-signing does not hold; None when it does."""
    verifying = require("model_signing.verifying", extra="attest")
    config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    try:
        config.verify(export, signature)
    except Exception as error:  # noqa: BLE001 - a hostile signature may break it anywhere; none of it holds
        return readable(str(error)) or type(error).__name__
    return None


#: Characters of a library's message that are told.
_TOLD = 300


def readable(text: str) -> str:
    """A message that may quote bytes of a file: one line of printable characters, cut where it is long."""
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return line if len(line) <= _TOLD else f"{line[:_TOLD]} …"
