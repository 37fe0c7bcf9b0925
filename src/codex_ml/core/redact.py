"""Take the secrets out of any text before it is written down.

Four nets: what this process was given as a secret (environment and command line), tokens known by
their form, values under a key that names a secret, and random-looking strings beside such a word; all
of them also under base64 and percent encoding. What is put in place names the kind of secret, and is
never derived from it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote

from codex_ml.core.known_secrets import KnownSecret, cut_known, known_secrets
from codex_ml.core.secret_blocks import redact_blocks
from codex_ml.core.secret_formats import FORMATS
from codex_ml.core.secret_keys import is_secret_value, judge_key
from codex_ml.core.secret_pairs import redact_pairs

#: Base64 inside base64 is looked into, further down not.
_DEPTH = 2
_USERINFO = re.compile(r"://(?!git@|\[redacted)(?:[^\s/?#\"'<>@]{0,400}@)++")
_USERINFO_SLASH = re.compile(
    r"://(?!\[redacted)[^\s/:@\"'<>]{0,100}:(?!\d+/)[^\s@\"'<>]{1,256}@(?:[^\s/@\"'<>]{0,256}@)*+"
)
_QUERY = re.compile(
    r"(?i)([?&](?:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid"
    r"|googleaccessid|key|code|auth)=)(?!\[redacted)[^&\s\"'#<>]{8,}"
)
_LOGIN = re.compile(r"(\blogin\s{1,4}\S{1,200}\s{1,4}(?:password|account)\s{1,4})(?!\[redacted)\S+")
_USER_OPTION = re.compile(
    r"((?:^|\s)(?:-u|--user|--proxy-user)[ =]['\"]?)(?!\d+:\d+(?:\s|$))[^\s:'\"]{1,100}:[^\s'\"]+"
)
#: Programs that take a password as an option of one letter.
_PROGRAMS = re.compile(
    r"(\bsshpass\s{1,4}-p\s{0,4}|\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;&]{0,200}?\s-p(?=\S)|"
    r"\bredis-cli\b[^\n|;&]{0,200}?\s-a\s{1,4}|"
    r"\b(?:docker|podman|buildah|skopeo|oc|az)\s{1,4}login\b[^\n|;&]{0,200}?\s-p\s{1,4})(?!\[redacted)"
    r"(?:'[^'\n]{1,200}'|\"[^\"\n]{1,200}\"|\\{0,3}['\"]?[^\s'\"\\]{3,200})"
)
#: ``user:password@host:path``, as scp and git write it; no digest of a container's image.
_USERINFO_SCP = re.compile(
    r"(?<![\w/:@.%+-])[A-Za-z_][\w.-]{0,63}:(?!\[redacted)[^\s/:@\"'`<>()\[\]{}|,;]{3,128}@"
    r"(?=[A-Za-z][\w.-]{0,252}:(?!//))(?!sha\d+:)"
)
_USERINFO_BARE = re.compile(r"(?<![:\w])//[^\s/:@\"'<>]{1,100}:(?!\[redacted)[^\s/@\"'<>]{1,256}@")
_SCHEME = re.compile(r"(?i)\b(bearer|basic|digest|negotiate) +(?=[^\s\"']{0,200}[\d=+/])([\w.~+/=-]{12,})")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}(?:\r?\n[A-Za-z0-9+/_-]{20,}={0,2})*")
_HEX = re.compile(r"[0-9a-fA-F]+")
#: What of decoded base64 is worth a look: a secret that any net finds is at least this much text.
_READABLE = re.compile(rb"[\t\r\n\x20-\x7e]{8,}")
_RUN = re.compile(r"[^\s\"'<>]+")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_WORTH_A_LOOK = re.compile(
    r"(?i)pass|pwd|secret|token|key|auth|credential|cookie|jwt|mnemonic|phrase|otp|webhook|connection|"
    r"bearer|basic|digest|negotiate|login|-u |user|[?&@]|//|redis-cli|mysql|mariadb|-----BEGIN|"
    + "|".join(sorted({re.escape(hint) for row in FORMATS for hint in row.hints}))
)


def redact_text(text: str) -> str:
    """*text* with every secret replaced by ``[redacted:KIND]``; digests, commits, paths and ids stay.

    Redacting twice changes nothing more. Linear in the length of the text.
    """
    return _redact(text, known_secrets(), depth=_DEPTH)


def redact_value(value: Any, key: str | None = None, *, known: bool = True) -> Any:
    """*value* with every string in it redacted, under the keys it is found at; other types stay.

    Under a key that certainly names a secret every leaf goes, apart from switches and None. An option
    of a command line (``--token``) covers the item that follows it in its list. With *known* false the
    result depends on *value* and *key* alone: what this process was given as a secret is not looked for.
    """
    return _value(value, key, known_secrets() if known else ())


def _value(value: Any, key: str | None, secrets: Sequence[KnownSecret]) -> Any:
    if isinstance(value, Mapping):
        return _mapping(value, key, secrets)
    if isinstance(value, list | tuple):
        items = [
            _value(item, _option(before) or key, secrets)
            for before, item in zip((None, *value), value, strict=False)
        ]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, PurePath):
        return _redact(str(value), secrets, depth=_DEPTH)
    if isinstance(value, bytes):
        return _value(value.decode("utf-8", "replace"), key, secrets)
    judged = judge_key(key) if key is not None else None
    if isinstance(value, str):
        cleaned = _redact(value, secrets, depth=_DEPTH)
        if judged is not None and is_secret_value(cleaned, *judged):
            return cleaned if cleaned.startswith("[redacted:") else f"[redacted:{judged[0]}]"
        return cleaned
    if judged == ("password", "certain") and isinstance(value, int | float) and not isinstance(value, bool):
        return "[redacted:password]"
    return value


def _mapping(value: Mapping[Any, Any], key: str | None, secrets: Sequence[KnownSecret]) -> dict[Any, Any]:
    outer = judge_key(key) if key is not None else None
    named = value.get("name", value.get("key"))  # {"name": "API_KEY", "value": …}, as in manifests of pods
    result = {}
    for name, item in value.items():
        inner = str(name)
        if inner.lower() == "value" and isinstance(named, str):
            inner = named
        if outer is not None and outer[1] == "certain" and judge_key(inner) is None:
            inner = str(key)
        shown = _redact(name, secrets, depth=_DEPTH) if isinstance(name, str) else name
        result[shown] = _value(item, inner, secrets)
    return result


def _option(word: object) -> str | None:
    """The key that a command-line word announces: ``--api-key`` alone, not ``--api-key=x``."""
    return word if isinstance(word, str) and re.fullmatch(r"--?[A-Za-z][\w.-]*", word) else None


def _redact(text: str, secrets: Sequence[KnownSecret], *, depth: int) -> str:
    text = cut_known(text, secrets)
    if not _WORTH_A_LOOK.search(text):
        return _encoded(text, secrets, depth=depth)
    text = _private_keys(text)
    for row in FORMATS:
        if any(hint in text for hint in row.hints):
            text = row.pattern.sub(f"[redacted:{row.kind}]", text)
    if "://" in text:
        text = _USERINFO.sub("://[redacted:url-userinfo]@", text)
        text = _USERINFO_SLASH.sub("://[redacted:url-userinfo]@", text)
    if "//" in text:
        text = _USERINFO_BARE.sub("//[redacted:url-userinfo]@", text)
    text = _USERINFO_SCP.sub("[redacted:url-userinfo]@", text)
    text = _PROGRAMS.sub(r"\1[redacted:password]", text)
    text = _QUERY.sub(r"\1[redacted:url-parameter]", text)
    text = _LOGIN.sub(r"\1[redacted:password]", text)
    text = _USER_OPTION.sub(r"\1[redacted:login]", text)
    text = _SCHEME.sub(r"\1 [redacted:authorization]", text)
    return _encoded(redact_pairs(redact_blocks(text)), secrets, depth=depth)


def _private_keys(text: str) -> str:
    """Replace PEM and PGP private keys, from their first line to their last or the end of the text."""
    position = 0
    while (begin := text.find("-----BEGIN ", position)) >= 0:
        head = text[begin : begin + 80].split("-----")[1]
        if "PRIVATE KEY" not in head:
            position = begin + 11
            continue
        tail = f"-----END {head.removeprefix('BEGIN ')}-----"
        end = text.find(tail, begin)
        end = len(text) if end < 0 else end + len(tail)
        text = f"{text[:begin]}[redacted:private-key]{text[end:]}"
        position = begin
    return text


def _encoded(text: str, secrets: Sequence[KnownSecret], *, depth: int) -> str:
    """Look below percent and base64 encoding; what holds a secret there is replaced."""
    if not depth:
        return text
    if _ESCAPE.search(text):
        text = _RUN.sub(lambda found: _percent(found.group(), secrets, depth - 1), text)
    return _BASE64.sub(lambda found: _base64(found.group(), secrets, depth - 1), text)


def _percent(run: str, secrets: Sequence[KnownSecret], depth: int) -> str:
    if "%" not in run:
        return run
    plain = unquote(run)
    cleaned = _redact(plain, secrets, depth=depth)
    return run if cleaned == plain else cleaned


def _base64(run: str, secrets: Sequence[KnownSecret], depth: int) -> str:
    joined = "".join(run.split())
    if joined.islower() or joined.isupper() or _HEX.fullmatch(joined):
        return run
    joined = joined.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):  # what stands before may belong to something else
        part = joined[start : len(joined) - (1 if (len(joined) - start) % 4 == 1 else 0)]
        try:
            raw = base64.b64decode(part + "=" * (-len(part) % 4))
        except binascii.Error:
            continue
        raw = raw.replace(b"\0", b"")  # UTF-16
        plain = b"\n".join(_READABLE.findall(raw)).decode()
        if plain and _redact(plain, secrets, depth=depth) != plain:
            return "[redacted:base64]"
    return run
