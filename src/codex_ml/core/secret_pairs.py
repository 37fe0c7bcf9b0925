"""Secrets under their key in running text: ``key=value``, ``"key": "value"``, headers, options, prose."""

from __future__ import annotations

import re

from codex_ml.core.secret_keys import Strength, is_mixed, is_secret_value, judge_key, looks_random

_NOUN = re.compile(
    r"(?i)passw|passphrase|passcode|pass|pwd|secret|token|key|credential|authorization|auth|cookie|bearer|jwt"
    r"|mnemonic|phrase|otp|webhook|connection.?string"
)
_KEY_BEFORE = re.compile(r"[\w.\-]{0,80}$")
_KEY_AFTER = re.compile(r"[\w.\-]{0,80}")
_SEPARATOR = re.compile(
    r"\\{0,3}[\"'`]?\]?[ \t]{0,8}(?::=|=>|==|=|:)[ \t]{0,8}(?:\r?\n[ \t+-]{1,20}(?=[\"']))?"
)
_TYPED = re.compile(
    r":[ \t]{0,4}(?:str|SecretStr|bytes|String|string)(?:[ \t]*\|[ \t]*None)?[ \t]{0,4}=[ \t]{0,4}"
)
_SPACE = re.compile(r"[ \t]{1,4}(?!-)")
#: "the password is hunter2"
_SAID = re.compile(r"[ \t]{1,4}(?:is|was)[ \t]{1,4}[\"'`]?([^\s\"'`<>\\]{6,64})")
_QUOTE = re.compile(r"(?:[rbfuRBFU]{0,2})(\\{0,3}(?:\"\"\"|'''|[\"'`]))")
_BARE = re.compile(r"[^\s\"'`<>\\]+")
#: Where a bare value ends although no space follows: another pair begins.
_NEXT_PAIR = re.compile(r"[&;,][\w .\-]{1,60}[=:]|[&;,]$|,(?=[\"'\s])")
_CANDIDATE = re.compile(r"[A-Za-z0-9+/=_~.\-!@#$%^&*]{12,}")
_SCHEMES = re.compile(r"(?i)(?:bearer|basic|token|digest|apikey|negotiate)[ \t]+")


def redact_pairs(text: str) -> str:
    """Replace each value that stands under the name of a secret, and each random one beside such a name."""
    pieces: list[str] = []
    done = 0
    for found in _NOUN.finditer(text):
        if found.start() < done:
            continue
        before = _KEY_BEFORE.search(text, max(done, found.start() - 80), found.start())
        start = before.start() if before else found.start()
        after = _KEY_AFTER.match(text, found.end())
        end = after.end() if after else found.end()
        key = text[start:end].strip(".-")
        judged = judge_key(key) or _phrase(text, start, key)
        if judged is None:
            continue
        span = _value(text, start, end, *judged)
        if span is None and judged[1] == "certain":
            span = _said(text, end) if judged[0] == "password" else None
            span = span or _beside(text, end)
        if span is None:
            continue
        pieces += [text[done : span[0]], f"[redacted:{judged[0]}]"]
        done = span[1]
    return "".join([*pieces, text[done:]])


def _phrase(text: str, start: int, key: str) -> tuple[str, Strength] | None:
    """``api key`` and the like, written as two words."""
    word = re.search(r"([A-Za-z]{3,10})[ ]$", text[max(0, start - 12) : start])
    return judge_key(f"{word.group(1)}_{key}") if word else None


def _value(text: str, start: int, end: int, kind: str, strength: Strength) -> tuple[int, int] | None:
    """Where the value of the key at ``text[start:end]`` stands, if it is a secret."""
    option = text[start:end].startswith("-") or text[max(0, start - 2) : start] == "--"
    separator = _TYPED.match(text, end) or _SEPARATOR.match(text, end) or (option and _SPACE.match(text, end))
    if not separator:
        return None
    at = separator.end()
    if scheme := _SCHEMES.match(text, at):
        at = scheme.end()
    quote = _QUOTE.match(text, at)
    if quote:
        at = quote.end()
        if scheme := _SCHEMES.match(text, at):
            at = scheme.end()
        close = text.find(quote.group(1), at)
        line = text.find("\n", at)
        line = len(text) if line < 0 else line
        stop = close if close >= 0 and (close < line or len(quote.group(1)) >= 3) else line
    else:
        bare = _BARE.match(text, at)
        if bare is None:
            return None
        stop = _bare_end(bare.group(), at)
        loose = separator.group().endswith((" ", "\t")) or text[at:stop] == "token"
        if loose and _is_prose(text[start:end].lower(), text[at:stop]):
            return None
        if kind in ("authorization", "cookie"):
            stop = _end_of_header(text, at)
    return (at, stop) if is_secret_value(text[at:stop], kind, strength) else None


def _is_prose(key: str, value: str) -> bool:
    """Whether a lone word is no setting: "next token: def", "a secret: it is", "token = parent.token"."""
    if key == "token":
        mixed = len(value) >= 6 and any(map(str.isdigit, value)) and any(map(str.isalpha, value))
        return not (mixed or looks_random(value))
    return key == "secret" and value.isalpha() and len(value) <= 4


def _bare_end(bare: str, at: int) -> int:
    cut = _NEXT_PAIR.search(bare)
    kept = bare[: cut.start()] if cut else bare
    return at + len(kept.rstrip(")]},;.") or kept)


def _end_of_header(text: str, at: int) -> int:
    found = re.compile(r"[^\r\n\"'\\]*").match(text, at)
    return found.end() if found else at


def _said(text: str, end: int) -> tuple[int, int] | None:
    """The word that a sentence names as the password, where it mixes letters and digits."""
    found = _SAID.match(text, end)
    if found is None:
        return None
    word = found.group(1).rstrip(".,;:!?)")
    return (found.start(1), found.start(1) + len(word)) if is_mixed(word) else None


def _beside(text: str, end: int) -> tuple[int, int] | None:
    """A random-looking string within the next words of the same line."""
    line = text.find("\n", end, end + 80)
    for found in _CANDIDATE.finditer(text, end, line if line >= 0 else min(len(text), end + 80)):
        # The window may cut a long string; its whole is taken out.
        whole = _CANDIDATE.match(text, found.start())
        assert whole is not None
        if looks_random(whole.group()):
            return whole.span()
    return None
