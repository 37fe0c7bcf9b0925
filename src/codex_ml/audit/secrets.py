"""Who tells a secret: detect-secrets and the project's own formats, behind one interface."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from codex_ml.core.optional import require
from codex_ml.core.secret_formats import FORMATS
from codex_ml.core.secret_keys import is_secret_value, judge_key, looks_random

_HINTS = sorted({hint for one in FORMATS for hint in one.hints if len(hint) > 2} | {"-----BEGIN "})
_WORDS = r"[Ss]ecret|SECRET|[Pp]assw|PASSW|[Pp]wd|PWD|[Kk]ey|KEY|[Tt]oken|TOKEN|[Cc]redential|CREDENTIAL"
_WORD = re.compile(_WORDS)
#: What stands after such a word when something is given to it: as a text, or bare with a digit in it.
_QUOTED = re.compile(
    r"[\w.-]{0,40}[\"']?\]?\s{0,4}(?::\s?\w{1,12}\s{0,2})?[:=]\s{0,4}[rbfu]{0,2}[\"'][^\s\"']{8,}"
)
_BARE = re.compile(r"[\w.-]{0,40}\s{0,4}[:=]\s{0,4}(?=[^\s\"'\d]{0,60}\d)[^\s\"'(){}<>]{8,}")
_PAIR = re.compile(r"(?P<key>[\w.-]{2,60})[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?P<value>[^\s\"'<>(){}$,;]{8,200})")
_PLACEHOLDER = re.compile(
    r"(?i)(example|change[-_ ]?me|your[-_]|xxx+|placeholder|dummy|<[^>]*>|\$\{|\{\{|os\.environ|getenv|"
    r"\.{3}|\*{3}|redacted|none$|null$|true$|false$)"
)
#: A dotted name or a path, as a variable or a module has it.
_NAME = re.compile(r"^[A-Za-z_][A-Za-z_.:/-]*$")
_LONGEST = 2_000
_BY_ENTROPY = frozenset({"Secret Keyword"})


@dataclass(frozen=True)
class Secret:
    """A place that looks like a secret. *value* stays in memory alone; no report holds it."""

    line: int
    kind: str
    value: str
    certain: bool


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
            if judged and is_secret_value(value, *judged) and looks_random(value):
                yield Secret(line, judged[0], value, certain=False)


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
    return (Formats(), Pairs(), DetectSecrets())


def find_secrets(path: str, text: str, looking: Sequence[SecretDetector] | None = None) -> list[Secret]:
    """Secrets of a text by line, one for each value; what only names or replaces one is none."""
    found: dict[tuple[int, str], Secret] = {}
    for line, whole in _candidates(path, text):
        if len(whole) > _LONGEST or "pragma: allowlist secret" in whole:
            continue
        for one in detectors() if looking is None else looking:
            for secret in one.secrets(path, line, whole):
                named = secret.kind == "secret keyword" and _NAME.match(secret.value)
                if not named and not _PLACEHOLDER.search(secret.value) and not _covered(found, secret):
                    found[line, secret.value] = secret
    return list(found.values())


def _candidates(path: str, text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of the lines that a detector has to see; the others are told apart by one search."""
    given = _QUOTED if path.endswith(".py") else _BARE
    places = {_start(text, at) for hint in _HINTS for at in _everywhere(text, hint)}
    for match in _WORD.finditer(text):
        if _QUOTED.match(text, match.end()) or given.match(text, match.end()):
            places.add(_start(text, match.start()))
    line, at = 1, 0
    for start in sorted(places):
        line += text.count("\n", at, start)
        at = start
        stop = text.find("\n", start)
        yield line, text[start : stop if stop >= 0 else len(text)]


def _everywhere(text: str, hint: str) -> Iterator[int]:
    """Where *hint* stands; sixty plain searches are faster than one of a pattern with sixty ways."""
    at = text.find(hint)
    while at >= 0:
        yield at
        at = text.find(hint, at + len(hint))


def _start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _covered(found: dict[tuple[int, str], Secret], secret: Secret) -> bool:
    """Whether another detector told the same text already."""
    return any(
        line == secret.line and (secret.value in value or value in secret.value) for line, value in found
    )
