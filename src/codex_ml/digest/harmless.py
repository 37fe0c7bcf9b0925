"""What a line that looks like an error says of itself: that nothing failed, or that nobody tries again."""

from __future__ import annotations

import re

#: Of lines that hold a hint and yet say that nothing failed.
_HARMLESS = re.compile(
    r"(?i)\(ignored\)|\bxfail(?:ed)?\b|\bwarning: |\bwarn(?:ing)?\b[:|\]]|"
    r"^(?:\S+ ){0,3}\[?(?:DEBUG|INFO|NOTICE|WARN(?:ING)?)\]?[ :|]|"
    r"\bfalling back\b|\bcontinu(?:e|ing) anyway\b|\bnon-fatal\b|"
    r"\bexpected failure\b|dependency resolver does not currently|\bPASSED\b|\bXFAIL\b|\|\| true$"
)
_RETRIED = re.compile(r"(?i)\b(?:will retry|retrying|retry \d)")
_GAVE_UP = re.compile(
    r"(?i)\b(?:giv(?:ing|en|e)|gave) up\b|"
    r"\b(?:no(?:t| more)?|without|after|stopp?(?:ed|ing)) retr(?:y|ies|ying)\b|"
    r"\bretries (?:exhausted|exceeded)|\b(?:exhausted|exceeded|max(?:imum)?|too many) (?:\w+ ){0,3}retries\b|"
    r"\bafter \d+ (?:\w+ )?(?:retries|attempts|tries)\b|\battempt (\d+) ?(?:of|/) ?\1\b"
)
#: A count of what failed that is nothing, and one that is something.
_COUNTED = r"(?:errors?|failures?|failed)"
_NONE = re.compile(rf"(?i)\b(?:0|no|without|zero) {_COUNTED}\b|\berrors?[=:] ?0\b")
_SOME = re.compile(rf"(?i)\b[1-9]\d* (?:\w+ )?{_COUNTED}\b|\b{_COUNTED}[=:] ?[1-9]")
_CALLS_ITSELF = re.compile(r"\[?(?:ERROR|FATAL|CRITICAL|Error|error)\]?[:|\]]? ")


def gave_up(text: str) -> bool:
    """Whether *text* says that there will be no other attempt."""
    return _GAVE_UP.search(text) is not None


def _nothing_failed(text: str) -> bool:
    """Whether a count in *text* says so: no other one says otherwise, and no error is told before it."""
    counted = _NONE.search(text)
    if counted is None or _SOME.search(text):
        return False
    named = _CALLS_ITSELF.match(text)
    return named is None or counted.start() <= named.end()


#: One of these stands in whatever that form matches; looking for them first is ten times as fast.
_HARMLESS_WORDS = (
    *(
        "ignored",
        "0 ",
        "no ",
        "without ",
        "zero ",
        "errors",
        "xfail",
        "warn",
        "debug",
        "info",
        "notice",
        "retr",
    ),
    *("falling back", "anyway", "non-fatal", "expected failure", "does not currently", "passed", "|| true"),
)


def harmless(text: str) -> bool:
    """Whether the line *text* says of itself that nothing failed."""
    low = text.lower()
    if not any(word in low for word in _HARMLESS_WORDS):
        return False
    if _HARMLESS.search(text):
        return True
    return (_RETRIED.search(text) is not None and not gave_up(text)) or _nothing_failed(text)
