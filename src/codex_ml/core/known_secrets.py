"""What this process was given as a secret: it is looked for literally, in any coding."""

from __future__ import annotations

import base64
import functools
import itertools
import json
import os
import re
import string
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from codex_ml.core.secret_keys import is_secret_value, judge_key

#: Shorter values, and plain words, turn up by chance.
_LEAST = 8
#: Named like passwords, and set by every shell.
_FOLDERS = ("PWD", "OLDPWD")
_LOGIN = re.compile(r"://[^\s/?#:@]*:([^\s/@]+)@")


_BASE64 = frozenset(string.ascii_letters + string.digits + "+/-_=")


@dataclass(frozen=True)
class KnownSecret:
    """A secret, its kind, and what it looks like escaped (percent, JSON) and inside of base64."""

    value: str
    kind: str
    escaped: tuple[str, ...]
    base64: tuple[str, ...]


def cut_known(text: str, secrets: Sequence[KnownSecret]) -> str:
    """*text* without the *secrets*: of base64 the whole run goes, of other codings what stands for them."""
    for secret in secrets:
        for form in (secret.value, *secret.escaped):
            if form in text:
                text = text.replace(form, f"[redacted:{secret.kind}]")
        for form in secret.base64:
            if form in text:
                text = _without_runs(text, form)
    return text


def _without_runs(text: str, form: str) -> str:
    """*text* without each run of base64 around *form*."""
    pieces, done = [], 0
    while (at := text.find(form, done)) >= 0:
        start, end = at, at + len(form)
        while start > done and text[start - 1] in _BASE64:
            start -= 1
        while end < len(text) and text[end] in _BASE64:
            end += 1
        pieces += [text[done:start], "[redacted:base64]"]
        done = end
    return "".join([*pieces, text[done:]])


def known_secrets() -> tuple[KnownSecret, ...]:
    """Secret-named variables and options of this process, and passwords in addresses, longest first.

    Walks the environment: called once for each text or value that is redacted.
    """
    named = [row for row in os.environ.items() if row[0] not in _FOLDERS and judge_key(row[0]) is not None]
    addresses = [value for value in os.environ.values() if "://" in value and "@" in value]
    return _collect(tuple(named), (*sys.argv, *addresses))


@functools.lru_cache(maxsize=8)
def _collect(variables: tuple[tuple[str, str], ...], words: tuple[str, ...]) -> tuple[KnownSecret, ...]:
    found: dict[str, str] = {}
    pairs = [*variables, *_options(words)]
    for name, value in pairs:
        judged = judge_key(name)
        if judged is not None and is_secret_value(value, *judged) and _is_telling(value):
            found[value] = judged[0]
            # One line of several, as a file or a message may quote it.
            found |= {line: judged[0] for line in value.splitlines() if _is_telling(line) and line != value}
    for word in words:
        for login in _LOGIN.finditer(word):
            if _is_telling(login.group(1)):
                found[login.group(1)] = "password"
    longest = sorted(found.items(), key=lambda row: -len(row[0]))
    return tuple(KnownSecret(value, kind, _escaped(value), _in_base64(value)) for value, kind in longest)


def _escaped(value: str) -> tuple[str, ...]:
    """How percent encoding and JSON write it, where that is not as it is."""
    codes = (quote(value, safe=""), quote(value), quote_plus(value))
    texts = (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    return tuple(sorted({*codes, *texts} - {value}))


def _in_base64(value: str) -> tuple[str, ...]:
    """The characters that it alone decides, for each place at which it may stand within base64."""
    raw = value.encode("utf-8", "surrogateescape")
    found = set[str]()
    for shift, shared in enumerate((0, 2, 3)):  # shared: characters that hold bits of what stands before
        size = shift + len(raw)
        whole = 8 * size // 6  # the character after these holds bits of what follows
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(bytes(shift) + raw).decode()[shared:whole])
    return tuple(sorted(found))


def _options(argv: tuple[str, ...]) -> list[tuple[str, str]]:
    """``--key value``, ``--key=value`` and ``key=value`` of a command line."""
    following = [(word, after) for word, after in itertools.pairwise(argv) if word.startswith("-")]
    joined = [(name, value) for name, mark, value in (word.partition("=") for word in argv) if mark]
    return [*following, *joined]


def _is_telling(value: str) -> bool:
    """Whether the value is long and odd enough to be looked for in any text."""
    plain = value.isalpha() and (value.islower() or value.isupper())
    return len(value) >= _LEAST and not value.isdigit() and (not plain or len(value) >= 16)
