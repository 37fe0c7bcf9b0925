"""Which keys name a secret, and which values look like one.

A key is judged by its segments (``use_cls_token`` is use, cls, token), not by the letters in it: a
tokenizer has no token, an author no authorisation.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from typing import Literal

#: certain: any value is one. likely: a value that looks drawn at random is one.
Strength = Literal["certain", "likely"]

_SEGMENTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOUNS = {
    "password": _words(
        "password passwd passwords passphrase passcode pwd sshpass dbpass pgpass mypass userpass adminpass "
        "rootpass smtppass mailpass mysqlpass redispass ftppass"
    ),
    "secret": _words("secret clientsecret mnemonic"),
    "credential": _words("credential credentials"),
    "key": _words("apikey secretkey accesskey privatekey signingkey accountkey masterkey"),
    "token": _words("accesstoken authtoken apitoken refreshtoken bearer"),
    "authorization": _words("authorization"),
}
#: Secret together with the segment before them.
_PAIRS = {
    "key": _words("api access private secret signing encryption account master ssh hmac"),
    "tokens": _words("api access auth refresh bearer"),
    "pass": _words("db database user mysql pg postgres redis smtp mail ftp root admin"),
    "phrase": _words("seed recovery"),
    "cookie": _words("set session"),
    "string": _words("connection"),
    "auth": _words("rediscli redis npm proxy"),
}
#: Ends of names that are written without a break: ``PGPASSWORD``, ``mysecret``.
_ENDS = {
    "password": ("password", "passwd", "passphrase"),
    "secret": ("secret",),
    "key": ("apikey", "secretkey", "privatekey"),
}
_CERTAIN = {noun: kind for kind, nouns in _NOUNS.items() for noun in nouns}
_KIND_OF_PAIR = {
    "tokens": "token",
    "pass": "password",
    "phrase": "secret",
    "string": "connection-string",
    "auth": "password",
}
#: Before ``token``, these name a piece of text.
_TEXT_TOKENS = _words(
    """a add additional any assistant audio begin begins bos byte cls control cost current decoder dist
    draft each end eod eos eot every extra fim first forced ignore im image in input label last mask max
    middle min new newline next num of one only out output pad patch per prefix previous prompt register
    replacement reserved role sep single sink special start stop sub suffix target text the think unk
    video vocab with word"""
)
_LIKELY = _words("key auth cookie secrets otp webhook jwt")
#: Before ``pass``, these name a way through something, or something that is no word for entering.
_PASSES = _words(
    """all back backward band by com decode each encode encom eval every fail fast final first forward fp full
    fwd bwd good high hot last low main multi next num of one out over per post pre quick refine result
    retry second single slow status step strict sur tail test third three train tres two under warm warmup"""
)
#: What may follow the noun without changing what it names.
_SUFFIXES = _words("prod production dev staging live old current")
_MORE_SUFFIXES = _SUFFIXES | _words("value string str text hash b64 base64 encoded new test raw plain")

_NOTHING = _words("true false null none yes no on off nil undefined ~")
_REFERENCE = re.compile(
    r"\$\{[^}]*\}?.*|\$[A-Z_][A-Z0-9_]*|%[A-Z_]+%|<[^<>]{0,60}>|\{\{.*|\*+|\.\.\.|"
    r"(?:os|self|args|cfg|config|settings|environ|getpass)(?:[.(\[].*|$)"
)
_HEX = re.compile(r"[0-9a-fA-F]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORDS = re.compile(r"[-_.:/@=+,*()\[\]{}<>|`\"' ]+")


@functools.lru_cache(maxsize=4096)
def judge_key(key: str) -> tuple[str, Strength] | None:
    """The kind of secret that *key* names and how sure that is; None: a harmless key."""
    parts = [part.lower() for part in _SEGMENTS.findall(key)]
    while parts and parts[-1].isdigit():
        parts.pop()
    stripped = list(parts)
    while len(stripped) > 1 and stripped[-1] in _MORE_SUFFIXES:
        stripped.pop()
    while len(parts) > 1 and parts[-1] in _SUFFIXES:
        parts.pop()
    if not parts:
        return None
    kind = _pair(parts) or _pair(stripped) or _CERTAIN.get(parts[-1]) or _CERTAIN.get(stripped[-1])
    kind = kind or next((one for one, ends in _ENDS.items() if parts[-1].endswith(ends)), None)
    if kind is not None:
        return kind, "certain"
    if parts[-1] == "token" and (len(parts) == 1 or parts[-2] not in _TEXT_TOKENS):
        return "token", "certain"
    if parts[-1] in _LIKELY or parts[-1].endswith("secrets"):
        return "secret", "likely"
    return _likely_end(parts)


def _likely_end(parts: list[str]) -> tuple[str, Strength] | None:
    """``pass`` and ``LDAPPASS``, ``GITHUBTOKEN``: what they hold decides."""
    for noun, kind, harmless in (("pass", "password", _PASSES), ("token", "token", _TEXT_TOKENS)):
        if parts[-1].endswith(noun):
            before = parts[-1].removesuffix(noun) or (parts[-2] if len(parts) > 1 else "")
            return None if before in harmless else (kind, "likely")
    return None


def _pair(parts: list[str]) -> str | None:
    noun = parts[-1]
    if len(parts) < 2 or parts[-2] not in _PAIRS.get(noun, ()):
        return None
    return _KIND_OF_PAIR.get(noun, noun)


def is_secret_value(value: str, kind: str, strength: Strength) -> bool:
    """Whether *value*, found under a key of this kind, has to go.

    References to a variable, placeholders and switches stay; so do numbers under a token and paths
    under what may as well name a file.
    """
    text = value.strip()
    if not text or text.lower() in _NOTHING or text.startswith("[redacted:") or _REFERENCE.fullmatch(text):
        return False
    if strength == "likely":
        return looks_random(text) or (kind in ("password", "token") and is_mixed(text))
    if kind == "token" and text.isdigit() and len(text) < 10:
        return False
    may_be_file = kind in ("key", "credential", "token") or text.count("/") > 1  # also PWD=/home/me
    return not (may_be_file and _is_path(text))


def _is_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~/")) and not looks_random(text.rsplit("/", 1)[-1])


def looks_random(text: str) -> bool:
    """Whether *text* seems drawn at random, digests and identifiers apart.

    Hexadecimal of a digest's length, UUIDs and words or numbers joined by punctuation are not: they are
    what a record of a run is made of.
    """
    if len(text) < 12 or " " in text or "://" in text or _UUID.fullmatch(text):
        return False
    if _HEX.fullmatch(text.removeprefix("sha256:").removeprefix("0x")):
        return False
    pieces = [piece for piece in _WORDS.split(text) if piece]
    if all(_is_word(piece) for piece in pieces):
        return False
    return _entropy(text) >= (3.0 if len(text) < 20 else 3.4)


#: ``12ms``, ``3/10``, ``1e-3``: measured, not chosen.
_MEASURED = re.compile(r"[-+\d.,/:%e]+ ?[A-Za-z%]{0,3}(?:/s)?|v?\d+(?:[.\-_]\w+)*")


def is_mixed(text: str) -> bool:
    """Whether a short word mixes letters and digits as passwords do; no measure, version, digest or path."""
    if not 6 <= len(text) <= 64 or not re.search(r"[A-Za-z]", text) or not re.search(r"\d", text):
        return False
    digest = _HEX.fullmatch(text) and (text.islower() or text.isupper())
    plain = digest or _MEASURED.fullmatch(text) or _UUID.fullmatch(text)
    return not plain and not re.search(r"[\s/\\()\[\]{}]", text)


def _is_word(piece: str) -> bool:
    """Something short, a number, a digest, or letters with capitals only where words of camel case begin."""
    if len(piece) <= 3 or piece.isdigit() or (len(piece) >= 7 and _HEX.fullmatch(piece)):
        return True
    letters = piece.rstrip("0123456789")
    return letters.isalpha() and len(_SEGMENTS.findall(letters)) <= max(1, len(letters) // 4)


def _entropy(text: str) -> float:
    """Shannon entropy in bits per character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values())
