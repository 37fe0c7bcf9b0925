"""Who tells a secret: detect-secrets and the project's own formats, behind one interface."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

from codex_ml.core.optional import require
from codex_ml.core.secret_formats import FORMATS
from codex_ml.core.secret_keys import is_secret_value, judge_key, looks_random

_HINTS = sorted({hint for one in FORMATS for hint in one.hints if len(hint) > 2} | {"-----BEGIN "})
#: Words that a secret is given to, as they are written; plain searches are faster than one pattern.
_WORDS = (
    *("secret", "Secret", "SECRET", "passw", "Passw", "PASSW", "pwd", "Pwd", "PWD", "key", "Key", "KEY"),
    *("token", "Token", "TOKEN", "credential", "Credential", "CREDENTIAL"),
)
#: What stands after such a word when something is given to it: as a text, or bare with a digit in it.
_QUOTED = re.compile(
    r"[\w.-]{0,40}[\"']?\]?\s{0,4}(?::\s?\w{1,12}\s{0,2})?[:=]\s{0,4}[rbfu]{0,2}[\"'][^\s\"']{8,200}"
)
_BARE = re.compile(r"[\w.-]{0,40}\s{0,4}[:=]\s{0,4}(?=[^\s\"'\d]{0,60}\d)[^\s\"'(){}<>]{8,200}")
_PAIR = re.compile(r"(?P<key>[\w.-]{2,60})[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?P<value>[^\s\"'<>(){}$,;]{8,200})")
_PLACEHOLDER = re.compile(
    r"(?i)(example|change[-_ ]?me|your[-_]|xxx+|placeholder|dummy|<[^>]*>|^\{[^{}]*\}$|\$\{|\{\{|"
    r"os\.environ|getenv|\.{3}|\*{3}|redacted|none$|null$|true$|false$)"
)
#: A dotted name or a path, as a variable or a module has it.
_NAME = re.compile(r"^[A-Za-z_][A-Za-z_.:/-]*$")
#: A longer line is looked at around what may be a secret.
_LONGEST, _BEFORE, _BEHIND = 2_000, 200, 800
_ALLOWED = "pragma: allowlist secret"
_USED = (
    (
        "url-userinfo",
        ("://",),
        re.compile(r"://[^\s/:@\"'<>{}\[\]$%]{1,100}:(?P<value>[^\s/@\"'<>{}\[\]$%]{3,200})@"),
    ),
    (
        "authorization",
        ("Bearer ", "Basic "),
        re.compile(r"\b(?:Bearer|Basic) +(?=[^\s\"']{0,200}\d)(?P<value>[\w.~+/=-]{16,400})"),
    ),
    (
        "curl-user",
        ("curl",),
        re.compile(
            r"\bcurl\b[^\n]{0,200}?\s(?:-u|--user)[ =]['\"]?[^\s:'\"]{1,100}:(?P<value>[^\s'\"]{3,200})"
        ),
    ),
    (
        "login",
        ("login(",),
        re.compile(
            r"\blogin\([^)\n]{0,200}?\b(?:api_)?(?:key|token)\s?=\s?[\"'](?P<value>[^\s\"']{16,400})[\"']"
        ),
    ),
    (
        "wandb-key",
        ("wandb", "WANDB"),
        re.compile(r"(?i)\bwandb\w{0,40}[\"']?\]?\s{0,4}[:=]\s{0,4}[\"']?(?P<value>[0-9a-f]{40})\b"),
    ),
)
_BY_ENTROPY = frozenset({"Secret Keyword"})


@dataclass(frozen=True)
class Secret:
    """A place that looks like a secret. *value* stays in memory alone; no report holds it.

    *allowed*: the line says that it is none (``pragma: allowlist secret``).
    """

    line: int
    kind: str
    value: str
    certain: bool
    allowed: bool = False


class SecretDetector(Protocol):
    """Looks at one line of a file that may hold a secret."""

    def secrets(self, path: str, line: int, text: str) -> Iterator[Secret]: ...


class Formats:
    """Tokens that their form gives away (see `core.secret_formats`)."""

    def secrets(self, _path: str, line: int, text: str) -> Iterator[Secret]:
        for one in FORMATS:
            if any(hint in text for hint in one.hints):
                for match in one.pattern.finditer(text):
                    yield Secret(line, one.kind, match[0], certain=True)


class Pairs:
    """``KEY=value`` and ``key: value`` in any file, judged like what is redacted (see `core.secret_keys`)."""

    def secrets(self, _path: str, line: int, text: str) -> Iterator[Secret]:
        for match in _PAIR.finditer(text):
            judged = judge_key(match["key"])
            value = match["value"]
            if judged and is_secret_value(value, *judged) and (looks_random(value) or _is_hex(value)):
                yield Secret(line, judged[0], value, certain=False)


class Uses:
    """What is handed over as a secret, whatever it looks like: in a URL, a header, a login."""

    def secrets(self, _path: str, line: int, text: str) -> Iterator[Secret]:
        for kind, _hints, pattern in _USED:
            for match in pattern.finditer(text):
                yield Secret(line, kind, match["value"], certain=False)


def _is_hex(value: str) -> bool:
    return len(value) >= 32 and all(letter in "0123456789abcdef" for letter in value.lower())


class DetectSecrets:
    """The plugins of Yelp's detect-secrets, without those that call the network or go by entropy alone."""

    def secrets(self, path: str, line: int, text: str) -> Iterator[Secret]:
        for plugin in _plugins():
            for found in plugin.analyze_line(filename=path, line=text, line_number=line):
                value = found.secret_value or ""
                yield Secret(line, found.type.lower(), value, certain=found.type not in _BY_ENTROPY)


@cache
def _plugins() -> tuple[Any, ...]:
    names = {
        "aws": "AWSKeyDetector",
        "basic_auth": "BasicAuthDetector",
        "jwt": "JwtTokenDetector",
        "keyword": "KeywordDetector",
        "private_key": "PrivateKeyDetector",  # pragma: allowlist secret
        "stripe": "StripeDetector",
    }
    return tuple(
        getattr(require(f"detect_secrets.plugins.{module}", extra="audit"), name)()
        for module, name in names.items()
    )


@cache
def detectors() -> tuple[SecretDetector, ...]:
    return (Formats(), Pairs(), Uses(), DetectSecrets())


def find_secrets(path: str, text: str, looking: Sequence[SecretDetector] | None = None) -> list[Secret]:
    """Secrets of a text by line, one for each value; what only names or replaces one is none."""
    found: dict[tuple[int, str], Secret] = {}
    for line, part in _candidates(path, text):
        allowed = _ALLOWED in part
        for one in detectors() if looking is None else looking:
            for secret in one.secrets(path, line, part):
                named = secret.kind == "secret keyword" and _NAME.match(secret.value)
                if not named and not _PLACEHOLDER.search(secret.value) and not _covered(found, secret):
                    found[line, secret.value] = replace(secret, allowed=allowed)
    return list(found.values())


def _candidates(path: str, text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of the lines that a detector has to see; the others are told apart by one search.

    Of a line that is very long, the parts around what was found.
    """
    given = _QUOTED if path.endswith(".py") else _BARE
    places = {at for hint in _HINTS for at in _everywhere(text, hint)}
    for _kind, hints, pattern in _USED:
        if any(hint in text for hint in hints):
            places |= {match.start() for match in pattern.finditer(text)}
    for word in _WORDS:
        for at in _everywhere(text, word):
            end = at + len(word)
            if given.match(text, end) or (given is not _QUOTED and _QUOTED.match(text, end)):
                places.add(at)
    line, counted, seen = 1, 0, 0
    for at in sorted(places):
        if at < seen:
            continue  # it stood in the part before
        start = text.rfind("\n", 0, at) + 1
        stop = text.find("\n", at)
        stop = stop if stop >= 0 else len(text)
        line += text.count("\n", counted, start)
        counted = start
        if stop - start > _LONGEST:
            start, stop = max(start, at - _BEFORE), min(stop, at + _BEHIND)
        seen = stop
        yield line, text[start:stop]


def _everywhere(text: str, hint: str) -> Iterator[int]:
    """Where *hint* stands; sixty plain searches are faster than one of a pattern with sixty ways."""
    at = text.find(hint)
    while at >= 0:
        yield at
        at = text.find(hint, at + len(hint))


def _covered(found: dict[tuple[int, str], Secret], secret: Secret) -> bool:
    """Whether another detector told the same text already."""
    return any(
        line == secret.line and (secret.value in value or value in secret.value) for line, value in found
    )
